import { createHash, timingSafeEqual } from 'node:crypto';
import {
  IdempotencyConfig,
  IdempotencyItemAlreadyExistsError,
  makeIdempotent,
} from '@aws-lambda-powertools/idempotency';
import { BasePersistenceLayer, type IdempotencyRecord } from '@aws-lambda-powertools/idempotency/persistence';
import { JSONStringified } from '@aws-lambda-powertools/parser/helpers';
import { APIGatewayProxyEventV2Schema } from '@aws-lambda-powertools/parser/schemas/api-gatewayv2';
import middy from '@middy/core';
import { z } from 'zod';
import { Secret, verifyEiotclubCallback } from '../../shared/signing/index.ts';
import { simulatorDefaults } from '../provider-simulator/simulator.ts';

/*
 * The job of receive as somebody would write it without simhook: verify an EIOTCLUB notification, store it once,
 * queue a hint, answer 200. All use the same few lines for the signature, unless they are told to verify as simhook does.
 */

const notificationSchema = z.object({
  id: z.string(),
  event: z.string(),
  timestamp: z.string(),
  iccid: z.string(),
  alert_type: z.number(),
  alert_value: z.string(),
  sign: z.string(),
});
type Notification = z.infer<typeof notificationSchema>;

/** Where events go and hints are sent. */
export interface Sinks {
  /** False when it was there. */
  insert(id: string, event: object): Promise<boolean>;
  send(message: string): Promise<void>;
}

export interface Answer {
  readonly statusCode: number;
  readonly body: string;
}

const ok: Answer = { statusCode: 200, body: '{"code":"200","message":"SUCCESS"}' };
const unauthorised: Answer = { statusCode: 401, body: '' };

/** Whether the sender is proven, by the fields or by the body as received. */
export type IsGenuine = (fields: Readonly<Record<string, unknown>>, body: string) => boolean;

const callbackSecret = new Secret(simulatorDefaults.eiotclub.callbackSecret);

/** simhook's own verification: every documented reading, over the text as received. */
export const asSimhookDoes: IsGenuine = (_fields, body) =>
  verifyEiotclubCallback(Buffer.from(body), [callbackSecret], { variants: null }).ok;

/** One reading of the signature, over the parsed fields. */
export const byHand: IsGenuine = (fields) => {
  const pairs = Object.keys(fields)
    .filter((name) => name !== 'sign' && name !== 'appkey' && fields[name] !== '' && fields[name] !== null)
    .sort()
    .map(
      (name) => `${name}=${typeof fields[name] === 'object' ? JSON.stringify(fields[name]) : fields[name]}`,
    );
  const text = `${pairs.join('&')}&secret=${simulatorDefaults.eiotclub.callbackSecret}`;
  const digest = createHash('sha1').update(text).digest();
  const given = Buffer.from(String(fields.sign), 'hex');
  return given.length === digest.length && timingSafeEqual(given, digest);
};

/** The floor: no schema, no evidence, no second key, one reading of the signature. */
export function handWritten(sinks: Sinks, isGenuine: IsGenuine = byHand) {
  return async (request: { readonly body?: string | undefined }): Promise<Answer> => {
    const fields = JSON.parse(request.body ?? '');
    if (!isGenuine(fields, request.body ?? '')) return unauthorised;
    const id = createHash('sha256').update(`eiotclub\n${fields.id}\n${fields.event}`).digest('hex');
    if (await sinks.insert(id, fields)) await sinks.send(JSON.stringify({ id }));
    return ok;
  };
}

/** Records in a Map, with what DynamoDBPersistenceLayer decides in DynamoDB. */
export class MapPersistence extends BasePersistenceLayer {
  readonly records = new Map<string, IdempotencyRecord>();

  protected override async _deleteRecord(record: IdempotencyRecord): Promise<void> {
    this.records.delete(record.idempotencyKey);
  }
  protected override async _getRecord(key: string): Promise<IdempotencyRecord> {
    const record = this.records.get(key);
    if (record === undefined) throw new Error('no such record');
    return record;
  }
  protected override async _putRecord(record: IdempotencyRecord): Promise<void> {
    const found = this.records.get(record.idempotencyKey);
    if (found !== undefined) throw new IdempotencyItemAlreadyExistsError('it exists', found);
    this.records.set(record.idempotencyKey, record);
  }
  protected override async _updateRecord(record: IdempotencyRecord): Promise<void> {
    this.records.set(record.idempotencyKey, record);
  }
}

const httpSchema = APIGatewayProxyEventV2Schema.extend({
  body: JSONStringified(notificationSchema.catchall(z.unknown())),
});

/** Powertools: parser for the request and the body, idempotency around the work. */
export function withPowertools(
  sinks: Sinks,
  persistenceStore: BasePersistenceLayer,
  lambdaContext: Parameters<IdempotencyConfig['registerLambdaContext']>[0],
  isGenuine: IsGenuine = byHand,
) {
  const config = new IdempotencyConfig({ eventKeyJmesPath: '[id, event]' });
  config.registerLambdaContext(lambdaContext);
  const work = async (notification: Notification): Promise<Answer> => {
    await sinks.insert(notification.id, notification);
    await sinks.send(JSON.stringify({ id: notification.id }));
    return ok;
  };
  const once = makeIdempotent(work, { persistenceStore, config });
  return async (request: { readonly body?: string | undefined }): Promise<Answer> => {
    const { body } = httpSchema.parse(request);
    return isGenuine(body, request.body ?? '') ? once(body) : unauthorised;
  };
}

interface MiddyRequest {
  body: string;
  notification?: Notification;
}

/** middy: one middleware to parse, one to verify, one to answer errors; the handler stores and queues. */
export function withMiddy(sinks: Sinks) {
  const handler = middy<MiddyRequest, Answer>()
    .before(({ event }) => {
      event.notification = notificationSchema.catchall(z.unknown()).parse(JSON.parse(event.body));
    })
    .before(({ event }) => (byHand({ ...event.notification }, event.body) ? undefined : unauthorised))
    .onError((request) => {
      request.response = { statusCode: 500, body: '' };
    })
    .handler(async ({ notification }: MiddyRequest): Promise<Answer> => {
      if (notification === undefined) return unauthorised;
      if (await sinks.insert(`${notification.event}#${notification.id}`, notification))
        await sinks.send(JSON.stringify({ id: notification.id }));
      return ok;
    });
  // middy writes into the event, so each run gets a copy, as Lambda would hand over a fresh one.
  return (request: MiddyRequest, context: Parameters<typeof handler>[1]): Promise<Answer> =>
    handler({ ...request }, context);
}
