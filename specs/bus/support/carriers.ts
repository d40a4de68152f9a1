import { setTimeout as sleep } from 'node:timers/promises';
import { type Address, type Bus, DISPATCHER } from '../../../bus/bus.js';
import { dispatcherCodec, workerCodec } from '../../../bus/codec.js';
import type { ControlMessage } from '../../../bus/controlMessages.js';
import { MemoryHub } from '../../../bus/memoryBus.js';
import type { DispatcherMessage, WorkerMessage } from '../../../bus/messages.js';
import { NatsBus } from '../../../bus/natsBus.js';
import { PullRequestBus, PullRouterBus } from '../../../bus/zeromq/pullBus.js';
import { PushDealerBus, PushRouterBus } from '../../../bus/zeromq/pushBus.js';
import { startNats } from '../../support/servers.js';

/** What a spec sees of a message: its number, and how many bytes of ballast it brought. */
export interface Parcel {
  number: number;
  bytes: number;
  from: Address;
}

/** How numbered parcels look in the messages of one direction. */
interface Form<Message> {
  wrap(number: number, bytes: number): Message;
  unwrap(message: Message): { number: number; bytes: number };
}

const workerForm: Form<WorkerMessage> = {
  wrap: (number, bytes) => ({ type: 'functionsMissing', functionIds: [String(number), 'x'.repeat(bytes)] }),
  unwrap: (message) => {
    if (message.type !== 'functionsMissing') throw new Error(`unexpected ${message.type}`);
    return { number: Number(message.functionIds[0]), bytes: message.functionIds[1]?.length ?? 0 };
  },
};

const dispatcherForm: Form<DispatcherMessage> = {
  wrap: (number, bytes) => ({
    type: 'functions',
    functions: [{ functionId: String(number), body: Buffer.alloc(bytes, 7) }],
  }),
  unwrap: (message) => {
    if (message.type !== 'functions') throw new Error(`unexpected ${message.type}`);
    return { number: Number(message.functions[0]?.functionId), bytes: message.functions[0]?.body.length ?? 0 };
  },
};

const controlForm: Form<ControlMessage> = {
  wrap: (number, bytes) => ({
    type: 'tasks.settled',
    tasks: [{ taskId: String(number), state: 'completed', payload: Buffer.alloc(bytes, 7) }],
  }),
  unwrap: (message) => {
    if (message.type !== 'tasks.settled') throw new Error(`unexpected ${message.type}`);
    return { number: Number(message.tasks[0]?.taskId), bytes: message.tasks[0]?.payload?.length ?? 0 };
  },
};

/** One end of a link, in numbers. */
export class End<Incoming = unknown, Outgoing = unknown> {
  readonly received: Parcel[] = [];
  /** What the handler does besides taking note. */
  onParcel: (parcel: Parcel) => void = () => undefined;
  /** Whom it sends to: whoever spoke last, or the one it was told. */
  peer: Address;

  constructor(
    readonly bus: Bus<Incoming, Outgoing>,
    private readonly incoming: Form<Incoming>,
    private readonly outgoing: Form<Outgoing>,
    peer: Address,
  ) {
    this.peer = peer;
    bus.listen((message, from) => {
      const parcel = { ...this.incoming.unwrap(message), from };
      this.received.push(parcel);
      this.onParcel(parcel);
    });
  }

  send(number: number, bytes = 0, to = this.peer): void {
    this.bus.send(to, this.outgoing.wrap(number, bytes));
  }

  numbers(): number[] {
    return this.received.map(({ number }) => number);
  }
}

/** Two ends that have heard of each other. */
export interface Link {
  dispatcher: End;
  worker: End;
  /** What either end has reported. */
  errors: unknown[];
  /** Another worker for the same dispatcher. */
  addWorker(): Promise<End>;
}

export interface Carrier {
  name: string;
  /** Whether a sender can know that nobody is there. */
  knowsItsPeers: boolean;
  /** Before all links and after them. */
  start(): Promise<void>;
  stop(): Promise<void>;
  open(): Promise<Link>;
}

const nothing = (): Promise<void> => Promise.resolve();
const anyEnd = <I, O>(end: End<I, O>): End => end;

/** The worker speaks first, as in real life; then both know each other. */
async function acquaint(dispatcher: End, worker: End): Promise<void> {
  const before = dispatcher.received.length;
  for (let tries = 0; dispatcher.received.length === before; tries++) {
    if (tries % 100 === 0) worker.send(-1);
    await sleep(5);
  }
  dispatcher.peer = dispatcher.received.at(-1)!.from;
  dispatcher.received.splice(0);
}

function zeromqLink(
  errors: unknown[],
  router: Bus<WorkerMessage, DispatcherMessage>,
  connect: () => Bus<DispatcherMessage, WorkerMessage>,
  opened: Bus<never, never>[],
): Promise<Link> {
  const dispatcher = anyEnd(new End(router, workerForm, dispatcherForm, ''));
  const addWorker = async (): Promise<End> => {
    const bus = connect();
    opened.push(bus as unknown as Bus<never, never>);
    const worker = anyEnd(new End(bus, dispatcherForm, workerForm, DISPATCHER));
    const peer = dispatcher.peer;
    await acquaint(dispatcher, worker);
    if (peer !== '') dispatcher.peer = peer;
    return worker;
  };
  return addWorker().then((worker) => ({ dispatcher, worker, errors, addWorker }));
}

/** Every carrier of the platform; links are closed by the carrier's `stop`, if not before. */
export function carriers(): Carrier[] {
  const opened: Bus<never, never>[] = [];
  const stop = async (): Promise<void> => {
    await Promise.all(opened.splice(0).map((bus) => bus.close()));
  };
  const keep = <B>(bus: B): B => {
    opened.push(bus as unknown as Bus<never, never>);
    return bus;
  };
  const toWorkers = { incoming: workerCodec, outgoing: dispatcherCodec };
  const toDispatcher = { incoming: dispatcherCodec, outgoing: workerCodec };

  const memory: Carrier = {
    name: 'memory',
    knowsItsPeers: true,
    start: nothing,
    stop,
    open: () => {
      const errors: unknown[] = [];
      const hub = new MemoryHub((error) => errors.push(error));
      let workers = 0;
      const router = keep(hub.endpoint<WorkerMessage, DispatcherMessage>(DISPATCHER));
      return zeromqLink(errors, router, () => hub.endpoint(`worker-${workers++}`), opened);
    },
  };

  const push: Carrier = {
    name: 'ZeroMQ push',
    knowsItsPeers: true,
    start: nothing,
    stop,
    open: async () => {
      const errors: unknown[] = [];
      const onError = (error: unknown): unknown => errors.push(error);
      const router = keep(await PushRouterBus.bind('tcp://127.0.0.1:*', { ...toWorkers, onError }));
      return zeromqLink(
        errors,
        router,
        () => new PushDealerBus({ ...toDispatcher, onError, url: router.endpoint }),
        opened,
      );
    },
  };

  const pull: Carrier = {
    name: 'ZeroMQ pull',
    knowsItsPeers: true,
    start: nothing,
    stop,
    open: async () => {
      const errors: unknown[] = [];
      const onError = (error: unknown): unknown => errors.push(error);
      const router = keep(await PullRouterBus.bind('tcp://127.0.0.1:*', { ...toWorkers, onError }));
      return zeromqLink(
        errors,
        router,
        () => new PullRequestBus({ ...toDispatcher, onError, url: router.endpoint }),
        opened,
      );
    },
  };

  let server: Awaited<ReturnType<typeof startNats>>;
  const nats: Carrier = {
    name: 'NATS',
    knowsItsPeers: false,
    start: async () => {
      server = await startNats();
    },
    stop: async () => {
      await stop();
      await server.stop();
    },
    open: async () => {
      const errors: unknown[] = [];
      const end = async (address: string): Promise<End> => {
        const events = { lost: (reason: string) => errors.push(reason), restored: () => undefined };
        const onError = (error: unknown): unknown => errors.push(error);
        const bus = keep(new NatsBus({ url: server.url, address, topics: ['tasks.settled'], events, onError }));
        while (!bus.connected) await sleep(5);
        return anyEnd(new End(bus, controlForm, controlForm, 'tasks.settled'));
      };
      const [dispatcher, worker] = await Promise.all([end('one'), end('two')]);
      await acquaint(dispatcher, worker);
      dispatcher.peer = 'tasks.settled';
      return { dispatcher, worker, errors, addWorker: () => end('three') };
    },
  };

  return [memory, push, pull, nats];
}
