import { z } from 'zod';
import { endpointSchema, jsonMapSchema } from '../../shared/platform/env.ts';

/** The environment of reconcile; the stack's `environment` is typed by it. */
export const envSchema = z.object({
  TABLE_NAME: z.string().min(1),
  EVENTS_QUEUE_URL: z.url(),
  /** API secret's id by provider, as JSON. */
  API_SECRET_IDS: jsonMapSchema,
  DYNAMODB_ENDPOINT: endpointSchema,
  SQS_ENDPOINT: endpointSchema,
  SECRETS_ENDPOINT: endpointSchema,
});
