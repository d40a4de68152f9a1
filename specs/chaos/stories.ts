import type { Scene } from './scene.js';

/** What the API tells of a task. */
export interface Story {
  status: string;
  attempts: number;
  history: { event: string }[];
}

/** Of all accepted tasks. */
export async function stories(scene: Scene): Promise<Story[]> {
  const answers = scene.load.accepted.map(({ id }) => scene.platform.call('GET', `/tasks/${id}`));
  return (await Promise.all(answers)).map(({ body }) => body as Story);
}

/** Everything ended at its first attempt: the lease had no part in it. */
export async function atFirstAttempt(scene: Scene): Promise<string[]> {
  const repeated = (await stories(scene)).filter(({ attempts }) => attempts !== 1);
  return repeated.length === 0 ? [] : [`${repeated.length} tasks took more than one attempt`];
}
