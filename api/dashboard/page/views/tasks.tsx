import type { JSX } from 'preact';

export function Tasks({ query }: { query: URLSearchParams }): JSX.Element {
  return <h1>Tasks {query.toString()}</h1>;
}
