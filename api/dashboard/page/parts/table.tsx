import type { ComponentChildren, JSX } from 'preact';

export interface Column<Row> {
  readonly head: string;
  readonly cell: (row: Row) => ComponentChildren;
  /** Stands to the right. */
  readonly isNumber?: boolean;
  /** What the row is called; the first on a phone. */
  readonly isTitle?: boolean;
  /** Said by itself: on a phone without its head before it. */
  readonly isPlain?: boolean;
}

/**
 * A table that on a phone becomes a list of cards, each value with the head of its column before it. The roles are said because a
 * browser forgets those of a table whose parts are laid out in another way.
 */
export function Table<Row>(props: {
  label: string;
  columns: readonly Column<Row>[];
  rows: readonly Row[];
  keyOf: (row: Row) => string;
}): JSX.Element {
  const { label, columns, rows, keyOf } = props;
  return (
    <div class="table-frame">
      <table class="cards" role="table" aria-label={label}>
        <thead role="rowgroup">
          <tr role="row">
            {columns.map(({ head, isNumber }) => (
              <th key={head} role="columnheader" scope="col" class={isNumber ? 'number' : undefined}>
                {head}
              </th>
            ))}
          </tr>
        </thead>
        <tbody role="rowgroup">
          {rows.map((row) => (
            <tr key={keyOf(row)} role="row">
              {columns.map((column) => (
                <Cell key={column.head} column={column} row={row} />
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

function Cell<Row>({ column, row }: { column: Column<Row>; row: Row }): JSX.Element {
  const { head, cell, isNumber, isTitle, isPlain } = column;
  const style = isNumber ? 'number' : undefined;
  if (isTitle) {
    return (
      <th role="rowheader" scope="row" class={style}>
        {cell(row)}
      </th>
    );
  }
  return (
    <td role="cell" class={isPlain ? 'plain' : style} data-head={isPlain ? undefined : head}>
      {cell(row)}
    </td>
  );
}
