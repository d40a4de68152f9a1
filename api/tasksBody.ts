import { type Static, type TSchema, Type } from '@fastify/type-provider-typebox';
import { PlatformError } from '../bus/errors.js';
import { dependsOnOthers, type TaskRequest } from './newTask.js';
import { pickleOf } from './pickleField.js';
import { MAX_BATCH_TASKS, Payload, taskOptions, type TaskOptions, Uuid } from './schemas.js';

/** The body of POST /tasks, for one way of sending payloads. Which of the fields must be there together, `tasksOf` checks. */
const tasksSchema = <P extends TSchema>(payload: P) =>
  Type.Object({
    function_id: Type.Optional(Uuid('Id that /register_function answered; with `payloads`')),
    payloads: Type.Optional(
      Type.Array(payload, {
        minItems: 1,
        maxItems: MAX_BATCH_TASKS,
        description: 'The arguments of one task each',
      }),
    ),
    tasks: Type.Optional(
      Type.Array(Type.Object({ function_id: Uuid('Id that /register_function answered'), payload, ...taskOptions }), {
        minItems: 1,
        maxItems: MAX_BATCH_TASKS,
        description: 'Instead of `function_id` and `payloads`. Options of a task go before those of the request.',
      }),
    ),
    group_id: Type.Optional(
      Uuid(
        'Group to add the tasks to, made if there is none: from an earlier answer, or a new random one. Absent: a group of their own',
      ),
    ),
    final: Type.Optional(
      Type.Boolean({
        description: 'Nothing will be added to the group after this: streams that follow it end when its tasks have.',
      }),
    ),
    ...taskOptions,
  });

export const JsonTasks = tasksSchema(Payload('Base64 of `dill.dumps((args, kwargs))`, newlines optional'));
export const MsgpackTasks = tasksSchema(Type.Unknown({ description: 'Binary: `dill.dumps((args, kwargs))`' }));
export type TasksBody = Static<typeof MsgpackTasks>;

/** @throws PlatformError VALIDATION_FAILED, PAYLOAD_NOT_BASE64, PAYLOAD_NOT_PICKLE */
export function tasksOf(body: TasksBody): TaskRequest[] {
  if (body.tasks !== undefined) {
    if (body.function_id !== undefined || body.payloads !== undefined) {
      throw invalid('`tasks` stands in place of `function_id` and `payloads`, not beside them.');
    }
    return body.tasks.map((task, index) => {
      const options = withDefaults(task, body);
      return {
        functionId: task.function_id.toLowerCase(),
        arguments: pickleOf(() => `tasks[${index}].payload`, task.payload, dependsOnOthers(options)),
        options,
      };
    });
  }
  if (body.function_id === undefined) throw invalid('`function_id` is missing from the body.');
  if (body.payloads === undefined) throw invalid('`payloads` is missing from the body.');
  const functionId = body.function_id.toLowerCase();
  return body.payloads.map((payload, index) => ({
    functionId,
    arguments: pickleOf(() => `payloads[${index}]`, payload, dependsOnOthers(body)),
    options: body,
  }));
}

const OPTION_NAMES = Object.keys(taskOptions) as (keyof TaskOptions)[];

function withDefaults(task: TaskOptions, defaults: TaskOptions): TaskOptions {
  return OPTION_NAMES.some((name) => defaults[name] !== undefined) ? { ...defaults, ...task } : task;
}

const invalid = (message: string): PlatformError => new PlatformError('VALIDATION_FAILED', message);
