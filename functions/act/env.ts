import { z } from 'zod';
import { endpointSchema, msSchema } from '../../shared/platform/env.ts';

/** The environment of one provider's act; the stack's `environment` is typed by it. */
export const envSchema = z.object({
  TABLE_NAME: z.string().min(1),
  PROVIDER: z.string().min(1),
  ACTIONS_QUEUE_URL: z.url(),
  API_SECRET_ID: z.string().min(1),
  LEASE_MS: msSchema,
  START_WITHIN_MS: msSchema,
  DYNAMODB_ENDPOINT: endpointSchema,
  SQS_ENDPOINT: endpointSchema,
  SECRETS_ENDPOINT: endpointSchema,
});
