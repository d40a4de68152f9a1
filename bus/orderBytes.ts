import type { TaskOrder } from './messages.js';

/** What an order weighs on its way: its arguments, and the values that they refer to. */
export const orderBytes = ({ arguments: args, inputs }: Pick<TaskOrder, 'arguments' | 'inputs'>): number =>
  inputs ? inputs.reduce((sum, { payload }) => sum + payload.length, args.length) : args.length;

/** Of all the tasks, without what they depend on. */
export const argumentBytes = (tasks: readonly { arguments: Buffer }[]): number =>
  tasks.reduce((sum, task) => sum + task.arguments.length, 0);
