import type { Clock } from '../../shared/platform/clock.ts';
import { assertMessages, assertReceiveMax } from '../../shared/queue/message-rules.ts';
import type {
  ReceivedMessage,
  WorkMessage,
  WorkQueue,
  WorkQueueSettings,
} from '../../shared/queue/work-queue.ts';
import { type Heap, newHeap } from './heap.ts';

export interface MemoryWorkQueueOptions {
  /** Stands in the ids of its messages, so that those of several queues differ. */
  readonly name: string;
  readonly settings: WorkQueueSettings;
  readonly now: Clock;
  /** Gets what was received `receivesMax` times; null delivers for ever. */
  readonly deadLetter: MemoryWorkQueue | null;
}

export interface MemoryWorkQueue extends WorkQueue {
  /** Takes over a message that another queue gave up. */
  bury(message: QueuedMessage): void;
}

interface QueuedMessage {
  readonly messageId: string;
  readonly body: string;
  readonly groupId: string;
  readonly sentAtMs: number;
  /** Place in the line: groups take turns. Messages of one turn go in the order in which they came. */
  readonly turn: number;
  readonly order: number;
  /** Hidden until then. */
  hiddenUntil: Moment;
  receives: number;
  /** Of its latest delivery. */
  receipt: string;
}

/** When a message may be received. */
interface Moment {
  readonly atMs: number;
  readonly messageId: string;
}

interface State extends MemoryWorkQueueOptions {
  readonly messages: Map<string, QueuedMessage>;
  /** What may be received, in the order of the line. */
  readonly line: Heap<QueuedMessage>;
  /** What may be received at its time. Stale where the message is gone or was given another moment. */
  readonly hidden: Heap<Moment>;
  readonly groups: Map<string, { waiting: number; lastTurn: number }>;
  /** Turn of the message that was delivered last. */
  turn: number;
  sent: number;
}

/** The work queue as a program's own memory: the semantics of the one in SQLite, groups' turns included. */
export function memoryWorkQueue(options: MemoryWorkQueueOptions): MemoryWorkQueue {
  const state: State = {
    ...options,
    messages: new Map(),
    line: newHeap((a, b) => a.turn - b.turn || a.order - b.order),
    hidden: newHeap((a, b) => a.atMs - b.atMs),
    groups: new Map(),
    turn: 0,
    sent: 0,
  };
  const { now } = options;
  return {
    send: async (messages) => send(state, messages, now()),
    receive: async (max) => receive(state, max, now()),
    acknowledge: async (receipts) => {
      for (const message of namedBy(state, receipts, now())) forget(state, message);
    },
    release: async (receipts) => {
      const nowMs = now();
      for (const message of namedBy(state, receipts, nowMs)) hide(state, message, nowMs);
    },
    depth: async () => depth(state, now()),
    bury: (message) => add(state, message, now()),
    close: async () => undefined,
  };
}

function send(state: State, messages: readonly WorkMessage[], nowMs: number): void {
  assertMessages(messages);
  for (const { body, groupId, delaySec } of messages) {
    const messageId = `${state.name}-${state.sent}`;
    add(
      state,
      { messageId, body, groupId, sentAtMs: nowMs, receives: 0, receipt: '' },
      nowMs + delaySec * 1_000,
    );
  }
}

function add(
  state: State,
  message: Omit<QueuedMessage, 'turn' | 'order' | 'hiddenUntil'>,
  visibleAtMs: number,
): void {
  const group = state.groups.get(message.groupId) ?? { waiting: 0, lastTurn: -1 };
  group.lastTurn = Math.max(state.turn, group.lastTurn + 1);
  group.waiting += 1;
  state.groups.set(message.groupId, group);
  const { messageId } = message;
  const hiddenUntil = { atMs: visibleAtMs, messageId };
  state.messages.set(messageId, { ...message, turn: group.lastTurn, order: state.sent, hiddenUntil });
  state.hidden.push(hiddenUntil);
  state.sent += 1;
}

function hide(state: State, message: QueuedMessage, untilMs: number): void {
  message.hiddenUntil = { atMs: untilMs, messageId: message.messageId };
  state.hidden.push(message.hiddenUntil);
}

function forget(state: State, message: QueuedMessage): void {
  if (!state.messages.delete(message.messageId)) return;
  const group = state.groups.get(message.groupId);
  if (group === undefined) return;
  group.waiting -= 1;
  if (group.waiting === 0) state.groups.delete(message.groupId);
}

function receive(state: State, max: number, nowMs: number): readonly ReceivedMessage[] {
  assertReceiveMax(max);
  lineUp(state, nowMs);
  const received: ReceivedMessage[] = [];
  while (received.length < max) {
    const message = state.line.pop();
    if (message === undefined) break;
    if (hasExpired(state, message, nowMs)) {
      forget(state, message);
    } else if (state.deadLetter !== null && message.receives >= state.settings.receivesMax) {
      forget(state, message);
      state.deadLetter.bury(message);
    } else {
      received.push(deliver(state, message, nowMs));
    }
  }
  return received;
}

/** Puts into the line what has become visible. */
function lineUp({ hidden, line, messages }: State, nowMs: number): void {
  for (let next = hidden.peek(); next !== undefined && next.atMs <= nowMs; next = hidden.peek()) {
    hidden.pop();
    const message = messages.get(next.messageId);
    if (message?.hiddenUntil === next) line.push(message);
  }
}

function hasExpired(state: State, { sentAtMs }: QueuedMessage, nowMs: number): boolean {
  return sentAtMs < nowMs - state.settings.retentionSec * 1_000;
}

function deliver(state: State, message: QueuedMessage, nowMs: number): ReceivedMessage {
  state.turn = Math.max(state.turn, message.turn);
  message.receives += 1;
  message.receipt = `${message.messageId}.${message.receives}`;
  hide(state, message, nowMs + state.settings.visibilitySec * 1_000);
  const { messageId, receipt, body, groupId, sentAtMs, receives } = message;
  return { messageId, receipt, body, groupId, receiveCount: receives, sentAtMs };
}

/** The messages of receipts that hold: not those of a delivery that ran out or was followed by another. */
function namedBy(state: State, receipts: readonly string[], nowMs: number): readonly QueuedMessage[] {
  const named: QueuedMessage[] = [];
  for (const receipt of receipts) {
    const message = state.messages.get(receipt.slice(0, receipt.lastIndexOf('.')));
    if (message !== undefined && message.receipt === receipt && message.hiddenUntil.atMs > nowMs)
      named.push(message);
  }
  return named;
}

function depth(state: State, nowMs: number): { readonly visible: number; readonly inFlight: number } {
  const kept = [...state.messages.values()].filter((message) => !hasExpired(state, message, nowMs));
  const visible = kept.filter(({ hiddenUntil }) => hiddenUntil.atMs <= nowMs).length;
  return { visible, inFlight: kept.length - visible };
}
