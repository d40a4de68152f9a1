import type { TaskInput, TaskOrder } from './messages.js';
import { array, bytes, number, text } from './shapes.js';

/** An order on the worker wire; what few have is at the end and left out. */
export function orderFields(o: TaskOrder): unknown[] {
  const fields: unknown[] = [o.taskId, o.fence, o.functionId, o.arguments, o.timeoutMs];
  if (o.inputs) fields.push(o.inputs.map(({ taskId, payload }) => [taskId, payload]));
  if (o.isolation) fields.push(...(o.inputs ? [] : [null]), o.isolation);
  return fields;
}

export function toOrder(value: unknown): TaskOrder {
  const fields = array(value);
  const order: TaskOrder = {
    taskId: text(fields[0]),
    fence: text(fields[1]),
    functionId: text(fields[2]),
    arguments: bytes(fields[3]),
    timeoutMs: number(fields[4]),
  };
  if (fields[5] != null) order.inputs = array(fields[5]).map(toInput);
  if (fields[6] === 'fresh') order.isolation = 'fresh';
  return order;
}

function toInput(value: unknown): TaskInput {
  const fields = array(value);
  return { taskId: text(fields[0]), payload: bytes(fields[1]) };
}
