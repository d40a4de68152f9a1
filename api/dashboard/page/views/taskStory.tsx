import type { JSX } from 'preact';

export function TaskStory({ taskId }: { taskId: string }): JSX.Element {
  return <h1>Task {taskId}</h1>;
}
