import { useEffect, useState } from 'preact/hooks';

export type View = 'overview' | 'tasks' | 'task' | 'workers' | 'functions' | 'nowhere';

/** Where the page is, by the part of the address behind `#`: `#/tasks?status=FAILED`, `#/tasks/ID`. */
export interface Route {
  readonly view: View;
  /** Of the task, for the view `task`; else empty. */
  readonly id: string;
  readonly query: URLSearchParams;
}

export function useRoute(): Route {
  const [route, setRoute] = useState(() => routeOf(location.hash));
  useEffect(() => {
    const onChange = (): void => setRoute(routeOf(location.hash));
    addEventListener('hashchange', onChange);
    return () => removeEventListener('hashchange', onChange);
  }, []);
  return route;
}

/** The address of a view, for `href`. Values that are empty or undefined are left out. */
export function address(path: string, query: Record<string, string | undefined> = {}): string {
  const given = Object.entries(query).filter((entry): entry is [string, string] => Boolean(entry[1]));
  const text = new URLSearchParams(given).toString();
  return `#${path}${text === '' ? '' : `?${text}`}`;
}

/** Goes to an address made by `address`; with `replace` the way back does not lead here. */
export function goTo(to: string, { replace = false } = {}): void {
  if (!replace) location.hash = to;
  else {
    history.replaceState(null, '', to);
    dispatchEvent(new HashChangeEvent('hashchange'));
  }
}

function routeOf(hash: string): Route {
  const [path = '', query = ''] = hash.replace(/^#/, '').split('?', 2);
  const [first = '', second = '', ...more] = path.split('/').filter((part) => part !== '');
  return {
    view: viewOf(first, second, more.length),
    id: decodeURIComponent(second),
    query: new URLSearchParams(query),
  };
}

function viewOf(first: string, second: string, more: number): View {
  if (more > 0) return 'nowhere';
  if (first === 'tasks') return second === '' ? 'tasks' : 'task';
  if (second !== '') return 'nowhere';
  if (first === '') return 'overview';
  return first === 'workers' || first === 'functions' ? first : 'nowhere';
}
