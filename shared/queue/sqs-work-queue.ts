import {
  ChangeMessageVisibilityBatchCommand,
  DeleteMessageBatchCommand,
  GetQueueAttributesCommand,
  type Message,
  ReceiveMessageCommand,
  SendMessageBatchCommand,
  type SQSClient,
} from '@aws-sdk/client-sqs';
import { z } from 'zod';
import { lazily } from '../core/lazily.ts';
import type { Random } from '../platform/random.ts';
import { QueueError } from './errors.ts';
import { assertMessages, assertReceiveMax, batchMax } from './message-rules.ts';
import { pause, type SqsRetry, triesMax, withRetries } from './sqs-retry.ts';
import type { ReceivedMessage, WorkMessage, WorkQueue } from './work-queue.ts';

export interface SqsWorkQueueOptions {
  /** Made by `makeSqsClient`: one try a call. Closed with the queue. */
  readonly client: SQSClient;
  readonly queueUrl: string;
  /** How long a receive waits for a first message, 0 to 20 whole seconds. */
  readonly waitSec: number;
  /** Tries of one call; 6 when left out. One where somebody waits for the answer and the message is only a hint. */
  readonly tries?: number;
  /** For the jitter between tries. */
  readonly random: Random;
  readonly sleep: (ms: number) => Promise<void>;
}

interface SqsDeps {
  readonly client: SQSClient;
  readonly queueUrl: string;
  readonly waitSec: number;
  readonly retry: SqsRetry;
}

/**
 * A work queue on an SQS standard queue; its visibility time-out, retention and dead-letter queue are set where the
 * queue is made. The group id makes it a fair queue. Source: SQS developer guide, "Amazon SQS fair queues".
 */
export function sqsWorkQueue(options: SqsWorkQueueOptions): WorkQueue {
  const { client, queueUrl, waitSec, random, sleep } = options;
  if (!Number.isInteger(waitSec) || waitSec < 0 || waitSec > 20) {
    throw new RangeError(`waitSec must be a whole number from 0 to 20, but was ${waitSec}`);
  }
  const deps: SqsDeps = {
    client,
    queueUrl,
    waitSec,
    retry: { tries: options.tries ?? triesMax, random, sleep },
  };
  return {
    send: (messages) => send(deps, messages),
    receive: (max) => receive(deps, max),
    acknowledge: (receipts) => acknowledge(deps, receipts),
    release: (receipts) => release(deps, receipts),
    depth: () => depth(deps),
    close: async () => client.destroy(),
  };
}

/** What the engine did not take from a batch. */
interface RefusedEntry {
  readonly Id?: string | undefined;
  readonly Code?: string | undefined;
  readonly SenderFault?: boolean | undefined;
}

/**
 * Sends a batch, and again those entries that were not taken, at most 6 times. Source: SQS API reference,
 * SendMessageBatch: the call succeeds although entries have failed.
 */
async function throughBatches<Entry extends { readonly Id: string }>(
  deps: SqsDeps,
  entries: readonly Entry[],
  batch: (entries: Entry[]) => Promise<readonly RefusedEntry[]>,
): Promise<void> {
  let pending = entries;
  for (let attempt = 1; ; attempt++) {
    const asked = [...pending];
    const refused = await withRetries(deps.retry, () => batch(asked));
    const faulty = refused.find(({ SenderFault }) => SenderFault === true);
    if (faulty !== undefined) {
      throw new QueueError(
        'unavailable',
        `SQS refused ${refused.length} of ${asked.length} entries: ${faulty.Code}`,
      );
    }
    const again = new Set(refused.map(({ Id }) => Id));
    pending = asked.filter(({ Id }) => again.has(Id));
    if (pending.length === 0) return;
    if (attempt >= deps.retry.tries) {
      throw new QueueError(
        'unavailable',
        `SQS left ${pending.length} of ${entries.length} entries undone ${deps.retry.tries} times: ${refused[0]?.Code}; try again later`,
      );
    }
    await pause(deps.retry, attempt);
  }
}

async function send(deps: SqsDeps, messages: readonly WorkMessage[]): Promise<void> {
  assertMessages(messages);
  const entries = messages.map(({ body, groupId, delaySec }, index) => ({
    Id: String(index),
    MessageBody: body,
    MessageGroupId: groupId,
    DelaySeconds: delaySec,
  }));
  await throughBatches(deps, entries, async (Entries) => {
    const answer = await deps.client.send(new SendMessageBatchCommand({ QueueUrl: deps.queueUrl, Entries }));
    return answer.Failed ?? [];
  });
}

async function receive(deps: SqsDeps, max: number): Promise<readonly ReceivedMessage[]> {
  assertReceiveMax(max);
  const command = new ReceiveMessageCommand({
    QueueUrl: deps.queueUrl,
    MaxNumberOfMessages: max,
    WaitTimeSeconds: deps.waitSec,
    MessageSystemAttributeNames: ['ApproximateReceiveCount', 'SentTimestamp', 'MessageGroupId'],
  });
  const answer = await withRetries(deps.retry, () => deps.client.send(command));
  return (answer.Messages ?? []).map(readMessage);
}

const messageSchema = lazily(() =>
  z.object({
    MessageId: z.string().min(1),
    ReceiptHandle: z.string().min(1),
    Body: z.string(),
    Attributes: z.object({
      ApproximateReceiveCount: z.coerce.number().int().min(1),
      SentTimestamp: z.coerce.number().int().min(0),
      MessageGroupId: z.string().optional(),
    }),
  }),
);

function readMessage(message: Message): ReceivedMessage {
  const parsed = messageSchema().safeParse(message);
  if (!parsed.success) {
    throw new QueueError(
      'unavailable',
      `SQS delivered a message that cannot be read: ${z.prettifyError(parsed.error)}`,
    );
  }
  const { MessageId, ReceiptHandle, Body, Attributes } = parsed.data;
  return {
    messageId: MessageId,
    receipt: ReceiptHandle,
    body: Body,
    groupId: Attributes.MessageGroupId ?? null,
    receiveCount: Attributes.ApproximateReceiveCount,
    sentAtMs: Attributes.SentTimestamp,
  };
}

/** A receipt that has run out is refused as the sender's fault, which is nothing to worry about. */
async function acknowledge(deps: SqsDeps, receipts: readonly string[]): Promise<void> {
  for (let from = 0; from < receipts.length; from += batchMax) {
    const entries = receipts
      .slice(from, from + batchMax)
      .map((ReceiptHandle, index) => ({ Id: String(index), ReceiptHandle }));
    await throughBatches(deps, entries, async (Entries) => {
      const answer = await deps.client.send(
        new DeleteMessageBatchCommand({ QueueUrl: deps.queueUrl, Entries }),
      );
      return (answer.Failed ?? []).filter(({ SenderFault }) => SenderFault !== true);
    });
  }
}

/** Source: SQS API reference, ChangeMessageVisibility: a time-out of 0 makes the message visible at once. */
async function release(deps: SqsDeps, receipts: readonly string[]): Promise<void> {
  for (let from = 0; from < receipts.length; from += batchMax) {
    const entries = receipts
      .slice(from, from + batchMax)
      .map((ReceiptHandle, index) => ({ Id: String(index), ReceiptHandle, VisibilityTimeout: 0 }));
    await throughBatches(deps, entries, async (Entries) => {
      const answer = await deps.client.send(
        new ChangeMessageVisibilityBatchCommand({ QueueUrl: deps.queueUrl, Entries }),
      );
      return (answer.Failed ?? []).filter(({ SenderFault }) => SenderFault !== true);
    });
  }
}

const depthSchema = lazily(() =>
  z.object({
    ApproximateNumberOfMessages: z.coerce.number().int(),
    ApproximateNumberOfMessagesNotVisible: z.coerce.number().int(),
    ApproximateNumberOfMessagesDelayed: z.coerce.number().int(),
  }),
);

/** Delayed messages count as hidden: they are work that is still to come. */
async function depth(deps: SqsDeps): Promise<{ readonly visible: number; readonly inFlight: number }> {
  const command = new GetQueueAttributesCommand({
    QueueUrl: deps.queueUrl,
    AttributeNames: [
      'ApproximateNumberOfMessages',
      'ApproximateNumberOfMessagesNotVisible',
      'ApproximateNumberOfMessagesDelayed',
    ],
  });
  const answer = await withRetries(deps.retry, () => deps.client.send(command));
  const parsed = depthSchema().safeParse(answer.Attributes);
  if (!parsed.success) {
    throw new QueueError(
      'unavailable',
      `SQS described the queue unreadably: ${z.prettifyError(parsed.error)}`,
    );
  }
  const counts = parsed.data;
  return {
    visible: counts.ApproximateNumberOfMessages,
    inFlight: counts.ApproximateNumberOfMessagesNotVisible + counts.ApproximateNumberOfMessagesDelayed,
  };
}
