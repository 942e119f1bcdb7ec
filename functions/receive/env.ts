import { z } from 'zod';
import { endpointSchema, jsonMapSchema } from '../../shared/platform/env.ts';

/** The environment of receive; the stack's `environment` is typed by it. */
export const envSchema = z.object({
  TABLE_NAME: z.string().min(1),
  EVENTS_QUEUE_URL: z.url(),
  /** Callback secret's id by provider, as JSON. */
  CALLBACK_SECRET_IDS: jsonMapSchema,
  DYNAMODB_ENDPOINT: endpointSchema,
  SQS_ENDPOINT: endpointSchema,
  SECRETS_ENDPOINT: endpointSchema,
});
