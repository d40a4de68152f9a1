import type { JSX } from 'preact';

export function Functions({ query }: { query: URLSearchParams }): JSX.Element {
  return <h1>Functions {query.toString()}</h1>;
}
