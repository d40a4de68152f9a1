import { PlatformError } from '../bus/errors.js';

/** Something a person can mend stops a command; the message is one sentence or two, shown without a stack. */
export class StartError extends Error {
  constructor(message: string, options?: { cause?: unknown }) {
    super(message, options);
    this.name = 'StartError';
  }
}

/** What to show for an error: a sentence where it was made for people, the stack where it is a fault of ours. */
export function explain(error: unknown): string {
  if (error instanceof PlatformError) return `${error.message} ${error.remedy}`;
  if (error instanceof StartError) return error.message;
  return error instanceof Error ? (error.stack ?? error.message) : String(error);
}
