/**
 * A queue of hints. A message names the work by its id; the table holds the truth, so a message may be lost,
 * late or repeated without harm.
 */
export interface WorkMessage {
  /** JSON text with ids only (shared/queue/work-item.ts). */
  readonly body: string;
  /** Messages of one group (one SIM) share their turn, so that a noisy SIM can't starve the others. */
  readonly groupId: string;
  /** Delivered no sooner than this many whole seconds from now, 0 to 900. */
  readonly delaySec: number;
}

export interface ReceivedMessage {
  readonly messageId: string;
  readonly receipt: string;
  readonly body: string;
  readonly groupId: string | null;
  /** 1 at the first delivery. */
  readonly receiveCount: number;
  /** Epoch ms at which it was first sent. */
  readonly sentAtMs: number;
}

/** Throws QueueError `unavailable`, after the engine's own bounded retries; the messages may or may not be sent. */
export interface WorkQueue {
  /** 1 to 10 messages. */
  send(messages: readonly WorkMessage[]): Promise<void>;
  /** At most `max` (1 to 10) visible messages; they stay hidden for the queue's visibility time-out. */
  receive(max: number): Promise<readonly ReceivedMessage[]>;
  /** Removes handled messages; a receipt that has run out is ignored. */
  acknowledge(receipts: readonly string[]): Promise<void>;
  /** Makes received messages visible again at once, for someone who only looked; a receipt that has run out is ignored. */
  release(receipts: readonly string[]): Promise<void>;
  /** Approximate numbers of visible and hidden messages. */
  depth(): Promise<{ readonly visible: number; readonly inFlight: number }>;
  close(): Promise<void>;
}

/** What each queue is made with; the numbers come from infra/topology.ts. */
export interface WorkQueueSettings {
  readonly visibilitySec: number;
  /** Deliveries after which a message goes to the dead-letter queue. */
  readonly receivesMax: number;
  readonly retentionSec: number;
}
