import type { onRequestHookHandler } from 'fastify';
import { PlatformError } from '../bus/errors.js';

/** For routes that take work: answers 503 once the process was told to stop, before the body is read. */
export function refuseWhileDraining({ isDraining }: { isDraining: () => boolean }): onRequestHookHandler {
  return (_request, _reply, done) => {
    done(isDraining() ? new PlatformError('SHUTTING_DOWN', 'This API is stopping and takes no new work.') : undefined);
  };
}
