import type { WorkMessage } from './work-queue.ts';

/** Source: SQS API reference, SendMessageBatch: 1 to 10 entries. */
export const batchMax = 10;
/** One batch, all bodies together. SQS has since raised its limit; ids need far less. Source: SQS developer guide, "Message quotas". */
export const batchBytesMax = 256 * 1024;
/** Source: SQS API reference, SendMessage, DelaySeconds: 0 to 900. */
export const delaySecMax = 900;

/** Source: SQS API reference, SendMessage, MessageGroupId: 1 to 128 letters, digits and punctuation. */
const groupIdPattern = /^[0-9A-Za-z!"#$%&'()*+,\-./:;<=>?@[\\\]^_`{|}~]{1,128}$/;
/** Characters of a body. Emoji are left out on purpose: the local SQS engine refuses them. Source: SQS API reference, SendMessage. */
const bodyPattern = /^[\t\n\r\u0020-\ud7ff\ue000-\ufffd]+$/;

/** Holds both engines to one set of rules before anything is sent. Throws RangeError. */
export function assertMessages(messages: readonly WorkMessage[]): void {
  if (messages.length < 1 || messages.length > batchMax) {
    throw new RangeError(`a send takes 1 to ${batchMax} messages, but got ${messages.length}`);
  }
  let bytes = 0;
  for (const { body, groupId, delaySec } of messages) {
    bytes += Buffer.byteLength(body, 'utf8');
    if (!bodyPattern.test(body)) {
      throw new RangeError(
        `a message body of ${body.length} characters is empty or holds a character that the queue refuses; send ids only`,
      );
    }
    if (!groupIdPattern.test(groupId)) {
      throw new RangeError(
        `a group id must have 1 to 128 letters, digits or punctuation marks, but was ${JSON.stringify(groupId.slice(0, 140))}`,
      );
    }
    if (!Number.isInteger(delaySec) || delaySec < 0 || delaySec > delaySecMax) {
      throw new RangeError(`delaySec must be a whole number from 0 to ${delaySecMax}, but was ${delaySec}`);
    }
  }
  if (bytes > batchBytesMax) {
    throw new RangeError(`the messages have ${bytes} bytes together, but one send may have ${batchBytesMax}`);
  }
}

/** Throws RangeError unless `max` is a whole number from 1 to 10. */
export function assertReceiveMax(max: number): void {
  if (!Number.isInteger(max) || max < 1 || max > batchMax) {
    throw new RangeError(`a receive takes 1 to ${batchMax} messages, but ${max} were asked for`);
  }
}
