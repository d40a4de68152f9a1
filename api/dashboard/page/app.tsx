import type { JSX } from 'preact';
import { useEffect, useRef } from 'preact/hooks';
import { forgetKey, useKeyState } from './apiKey.js';
import { KeyDialog } from './parts/keyDialog.js';
import { LiveSign } from './parts/liveSign.js';
import { type Route, useRoute, type View } from './router.js';
import { Functions } from './views/functions.js';
import { Overview } from './views/overview.js';
import { Tasks } from './views/tasks.js';
import { TaskStory } from './views/taskStory.js';
import { Workers } from './views/workers.js';

/** The entries of the navigation; a task's story is below its list. */
const ENTRIES: readonly { path: string; label: string; views: readonly View[] }[] = [
  { path: '#/', label: 'Overview', views: ['overview'] },
  { path: '#/tasks', label: 'Tasks', views: ['tasks', 'task'] },
  { path: '#/workers', label: 'Workers', views: ['workers'] },
  { path: '#/functions', label: 'Functions', views: ['functions'] },
];

export function App(): JSX.Element {
  const route = useRoute();
  const main = useRef<HTMLElement>(null);
  const place = `${route.view} ${route.id}`;
  const first = useRef(place);
  useEffect(() => {
    document.title = `${titleOf(route)} · MPCSFaaS`;
    // Who comes by keyboard or screen reader goes on where the new content is.
    if (first.current !== place) main.current?.focus({ preventScroll: true });
    first.current = place;
    scrollTo(0, 0);
  }, [place]);
  return (
    <>
      <a class="skip" href={location.hash} onClick={(event) => (event.preventDefault(), main.current?.focus())}>
        Skip to the content
      </a>
      <Header view={route.view} />
      <main ref={main} tabIndex={-1}>
        <Content route={route} />
      </main>
      <KeyDialog />
    </>
  );
}

function Header({ view }: { view: View }): JSX.Element {
  const { key } = useKeyState();
  return (
    <header class="top">
      <a class="brand" href="#/">
        <span class="brand-mark" aria-hidden="true" />
        MPCSFaaS
      </a>
      <nav aria-label="Views">
        {ENTRIES.map(({ path, label, views }) => (
          <a key={path} href={path} aria-current={views.includes(view) ? 'page' : undefined}>
            {label}
          </a>
        ))}
      </nav>
      <div class="top-end">
        <LiveSign />
        {key !== undefined && (
          <button type="button" class="quiet" onClick={forgetKey}>
            Forget key
          </button>
        )}
      </div>
    </header>
  );
}

function Content({ route }: { route: Route }): JSX.Element {
  switch (route.view) {
    case 'overview':
      return <Overview />;
    case 'tasks':
      return <Tasks query={route.query} />;
    case 'task':
      return <TaskStory key={route.id} taskId={route.id} />;
    case 'workers':
      return <Workers />;
    case 'functions':
      return <Functions query={route.query} />;
    case 'nowhere':
      return (
        <section class="empty">
          <h1>There is nothing here</h1>
          <p>
            Go on from the <a href="#/">overview</a>.
          </p>
        </section>
      );
  }
}

function titleOf({ view, id }: Route): string {
  if (view === 'task') return `Task ${id.slice(0, 8)}`;
  return ENTRIES.find(({ views }) => views.includes(view))?.label ?? 'Nothing here';
}
