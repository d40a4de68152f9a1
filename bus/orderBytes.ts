import type { TaskOrder } from './messages.js';

/** What an order weighs on its way: its arguments, and the values that they refer to. */
export const orderBytes = ({ arguments: args, inputs }: Pick<TaskOrder, 'arguments' | 'inputs'>): number =>
  inputs ? inputs.reduce((sum, { payload }) => sum + payload.length, args.length) : args.length;
