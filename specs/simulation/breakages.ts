import type { Address, Bus } from '../../bus/bus.js';
import type { DispatcherMessage, WorkerMessage } from '../../bus/messages.js';
import type { Dependency } from '../../bus/taskStore.js';
import type { MemoryStoreData } from './memoryStoreData.js';
import type { MemoryTaskStoreOptions } from './memoryStoreQueues.js';
import { MemoryTaskStore } from './memoryTaskStore.js';
import type { StoredTask } from './storedTask.js';

/**
 * Ways to break the platform, so that it can be seen that the simulation would notice:
 * - `fence`: the store settles any attempt of a running task, whoever holds it now
 * - `adoption`: dispatchers do not look at what a worker says that it holds
 * - `reap-pause`: leases are enforced at once after the store has restarted or stood still
 * - `sweep`: nobody looks for blocked tasks that have not been told of an end
 */
export const BREAKAGES = ['fence', 'adoption', 'reap-pause', 'sweep'] as const;
export type Breakage = (typeof BREAKAGES)[number];

export function createStore(
  breakage: Breakage | undefined,
  data: MemoryStoreData,
  options: MemoryTaskStoreOptions,
): MemoryTaskStore {
  switch (breakage) {
    case 'fence':
      return new StoreWithoutFence(data, options);
    case 'reap-pause':
      return new StoreWithoutReapPause(data, options);
    case 'sweep':
      return new StoreWithoutSweep(data, options);
    case 'adoption':
    case undefined:
      return new MemoryTaskStore(data, options);
    default:
      return breakage satisfies never;
  }
}

type WorkersBus = Bus<WorkerMessage, DispatcherMessage>;

export function dispatcherBus(breakage: Breakage | undefined, bus: WorkersBus): WorkersBus {
  return breakage === 'adoption' ? new BusDeafToHoldings(bus) : bus;
}

class StoreWithoutFence extends MemoryTaskStore {
  protected override holdsFence(task: StoredTask): boolean {
    return task.fence !== undefined;
  }
}

class StoreWithoutReapPause extends MemoryTaskStore {
  protected override isReapingPaused(_graceMs: number): boolean {
    return false;
  }
}

class StoreWithoutSweep extends MemoryTaskStore {
  override findBlocked(): Promise<Dependency[]> {
    return Promise.resolve([]);
  }
}

class BusDeafToHoldings implements WorkersBus {
  readonly address: Address;

  constructor(private readonly bus: WorkersBus) {
    this.address = bus.address;
  }

  get stats(): WorkersBus['stats'] {
    return this.bus.stats;
  }

  send(to: Address, message: DispatcherMessage): void {
    this.bus.send(to, message);
  }

  listen(handler: (message: WorkerMessage, from: Address) => void): void {
    this.bus.listen((message, from) => {
      handler(message.type === 'hello' ? { ...message, holding: [] } : message, from);
    });
  }

  close(): Promise<void> {
    return this.bus.close();
  }
}
