import type { DatabaseSync, StatementSync } from 'node:sqlite';
import { z } from 'zod';
import type { Clock } from '../platform/clock.ts';
import { explainSqliteError, inTransaction, openSqliteFile } from '../platform/sqlite-file.ts';
import { QueueError } from './errors.ts';
import { assertMessages, assertReceiveMax } from './message-rules.ts';
import type { ReceivedMessage, WorkMessage, WorkQueue, WorkQueueSettings } from './work-queue.ts';

export interface SqliteWorkQueueOptions {
  /** A file or `:memory:`, or an open connection (such as the table's) that stays open when the queue is closed. */
  readonly source: string | DatabaseSync;
  /** Queues of different names live side by side in one file. */
  readonly name: string;
  readonly settings: WorkQueueSettings;
  readonly now: Clock;
  /**
   * Name of the queue, in the same file, that gets what was received `receivesMax` times; open it under that name to
   * read it. Null delivers for ever.
   */
  readonly deadLetter: string | null;
}

const queueSql = `
  CREATE TABLE IF NOT EXISTS messages (
    id INTEGER PRIMARY KEY AUTOINCREMENT, queue TEXT NOT NULL, turn INTEGER NOT NULL, body TEXT NOT NULL,
    group_id TEXT NOT NULL, sent_at INTEGER NOT NULL, visible_at INTEGER NOT NULL, receives INTEGER NOT NULL
  ) STRICT;
  CREATE INDEX IF NOT EXISTS messages_turn ON messages (queue, turn, id);
  CREATE INDEX IF NOT EXISTS messages_group ON messages (queue, group_id, turn);
  CREATE INDEX IF NOT EXISTS messages_visible ON messages (queue, visible_at);
  DROP INDEX IF EXISTS messages_receives;
  CREATE INDEX IF NOT EXISTS messages_sent ON messages (queue, sent_at);
`;

const rowSchema = z.object({
  id: z.number().int(),
  body: z.string(),
  group_id: z.string(),
  sent_at: z.number().int(),
  receives: z.number().int(),
});
const fewSchema = z.object({ n: z.number().int() });
const countsSchema = z.object({ visible: z.number().int(), hidden: z.number().int() });

/** `<row>.<receives>`: a later delivery of the message makes it run out. */
const receiptPattern = /^(\d{1,15})\.(\d{1,9})$/;

interface Statements {
  readonly insert: StatementSync;
  readonly forget: StatementSync;
  readonly bury: StatementSync;
  readonly next: StatementSync;
  readonly nextOfFew: StatementSync;
  readonly countFew: StatementSync;
  readonly hide: StatementSync;
  readonly remove: StatementSync;
  readonly release: StatementSync;
  readonly counts: StatementSync;
}

/**
 * A work queue in a SQLite file with the semantics of an SQS standard queue: at least once, best-effort order,
 * visibility time-out, receive count, delay, retention, dead-letter queue. Groups take turns, as in a fair queue:
 * a message is placed behind the last one of its own group, not behind those of a noisy neighbour.
 *
 * Throws QueueError `unavailable` when the file can't be opened, is locked or is damaged.
 *
 * Source: SQS developer guide, "Amazon SQS visibility timeout", "dead-letter queues", "fair queues".
 */
export function openSqliteWorkQueue(options: SqliteWorkQueueOptions): WorkQueue {
  const { source, name, settings, now } = options;
  return guarded(() => {
    const own = typeof source === 'string';
    const database = own ? openSqliteFile(source) : source;
    try {
      database.exec(queueSql);
      const queue: QueueState = {
        database,
        name,
        settings,
        deadLetter: options.deadLetter,
        ...prepared(database),
      };
      return {
        send: async (messages) => guarded(() => send(queue, messages, now())),
        receive: async (max) => guarded(() => receive(queue, max, now())),
        acknowledge: async (receipts) => guarded(() => acknowledge(queue, receipts, now())),
        release: async (receipts) => guarded(() => release(queue, receipts, now())),
        depth: async () => guarded(() => depth(queue, now())),
        close: async () => {
          if (own && database.isOpen) database.close();
        },
      };
    } catch (error) {
      if (own) database.close();
      throw error;
    }
  });
}

interface QueueState {
  readonly database: DatabaseSync;
  readonly name: string;
  readonly settings: WorkQueueSettings;
  readonly deadLetter: string | null;
  readonly statements: Statements;
}

function prepared(database: DatabaseSync): { readonly statements: Statements } {
  const nextTurn = `MAX(
      COALESCE((SELECT MIN(turn) FROM messages WHERE queue = :queue), 0),
      COALESCE((SELECT MAX(turn) + 1 FROM messages WHERE queue = :queue AND group_id = :groupId), 0))`;
  const next = (index: string): string =>
    `SELECT * FROM messages INDEXED BY ${index} WHERE queue = ? AND visible_at <= ? ORDER BY turn, id LIMIT ?`;
  return {
    statements: {
      insert: database.prepare(
        `INSERT INTO messages (queue, turn, body, group_id, sent_at, visible_at, receives)
         VALUES (:queue, ${nextTurn}, :body, :groupId, :sentAt, :visibleAt, 0)`,
      ),
      forget: database.prepare('DELETE FROM messages WHERE queue = ? AND sent_at < ?'),
      bury: database.prepare('UPDATE messages SET queue = ?, visible_at = ? WHERE id = ?'),
      next: database.prepare(next('messages_turn')),
      nextOfFew: database.prepare(next('messages_visible')),
      countFew: database.prepare(
        'SELECT COUNT(*) AS n FROM (SELECT 1 FROM messages WHERE queue = ? AND visible_at <= ? LIMIT ?)',
      ),
      hide: database.prepare('UPDATE messages SET visible_at = ?, receives = receives + 1 WHERE id = ?'),
      remove: database.prepare(
        'DELETE FROM messages WHERE id = ? AND receives = ? AND queue = ? AND visible_at > ?',
      ),
      release: database.prepare(
        'UPDATE messages SET visible_at = :now WHERE id = :id AND receives = :receives AND queue = :queue AND visible_at > :now',
      ),
      counts: database.prepare(
        `SELECT COUNT(*) FILTER (WHERE visible_at <= :now) AS visible,
                COUNT(*) FILTER (WHERE visible_at > :now) AS hidden
         FROM messages WHERE queue = :queue`,
      ),
    },
  };
}

function guarded<T>(work: () => T): T {
  try {
    return work();
  } catch (error) {
    const explanation = explainSqliteError(error);
    if (explanation === null) throw error;
    throw new QueueError('unavailable', explanation, { cause: error });
  }
}

function send(queue: QueueState, messages: readonly WorkMessage[], nowMs: number): void {
  assertMessages(messages);
  const { statements, name } = queue;
  atOnce(queue.database, messages, ({ body, groupId, delaySec }) => {
    const visibleAt = nowMs + delaySec * 1000;
    statements.insert.run({ queue: name, body, groupId, sentAt: nowMs, visibleAt });
  });
}

function receive(queue: QueueState, max: number, nowMs: number): readonly ReceivedMessage[] {
  assertReceiveMax(max);
  const { statements, settings, name } = queue;
  return inTransaction(queue.database, () => {
    statements.forget.run(name, nowMs - settings.retentionSec * 1000);
    const received = nextMessages(queue, max, nowMs);
    const visibleAt = nowMs + settings.visibilitySec * 1000;
    for (const message of received) statements.hide.run(visibleAt, Number(message.messageId));
    return { commit: true, value: received };
  });
}

/**
 * So many visible messages are sorted each time; more are read in their order instead. A burst leaves thousands of
 * delayed messages, which must not be gone through to find the few that are visible.
 */
const fewMessages = 40;

/** SQS moves a message to the dead letters when it would be received once more, and keeps its id, age and receive count. */
function nextMessages(queue: QueueState, max: number, nowMs: number): readonly ReceivedMessage[] {
  const { statements, settings, name, deadLetter } = queue;
  const { n } = fewSchema.parse(statements.countFew.get(name, nowMs, fewMessages));
  if (n === 0) return [];
  const next = n < fewMessages ? statements.nextOfFew : statements.next;
  for (;;) {
    const messages = next.all(name, nowMs, max).map((row) => toMessage(row));
    const worn =
      deadLetter === null ? [] : messages.filter((each) => each.receiveCount > settings.receivesMax);
    // Each round moves at least one message away, so the rounds end.
    if (worn.length === 0) return messages;
    for (const { messageId } of worn) statements.bury.run(deadLetter, nowMs, Number(messageId));
  }
}

function toMessage(row: unknown): ReceivedMessage {
  const { id, body, group_id, sent_at, receives } = rowSchema.parse(row);
  const receiveCount = receives + 1;
  return {
    messageId: String(id),
    receipt: `${id}.${receiveCount}`,
    body,
    groupId: group_id,
    receiveCount,
    sentAtMs: sent_at,
  };
}

function acknowledge(queue: QueueState, receipts: readonly string[], nowMs: number): void {
  atOnce(queue.database, receipts, (receipt) => {
    const match = receiptPattern.exec(receipt);
    if (match !== null) queue.statements.remove.run(Number(match[1]), Number(match[2]), queue.name, nowMs);
  });
}

/** One statement is a transaction by itself; several are made one. */
function atOnce<T>(database: DatabaseSync, all: readonly T[], run: (one: T) => void): void {
  const [only, ...further] = all;
  if (only !== undefined && further.length === 0) {
    run(only);
    return;
  }
  inTransaction(database, () => {
    for (const one of all) run(one);
    return { commit: true, value: undefined };
  });
}

function release(queue: QueueState, receipts: readonly string[], nowMs: number): void {
  inTransaction(queue.database, () => {
    for (const receipt of receipts) {
      const match = receiptPattern.exec(receipt);
      if (match === null) continue;
      const named = { id: Number(match[1]), receives: Number(match[2]) };
      queue.statements.release.run({ ...named, queue: queue.name, now: nowMs });
    }
    return { commit: true, value: undefined };
  });
}

function depth(queue: QueueState, nowMs: number): { readonly visible: number; readonly inFlight: number } {
  const { visible, hidden } = countsSchema.parse(
    queue.statements.counts.get({ queue: queue.name, now: nowMs }),
  );
  return { visible, inFlight: hidden };
}
