import { z } from 'zod';
import { parsedOnce } from '../core/parsed-once.ts';
import type { MatchPolicy } from '../core/policy.ts';
import { durationMs } from '../core/time.ts';
import { eventKinds, orderStatuses, planWarnings, usageAlerts } from '../core/webhook-event.ts';
import type { ReceivingProvider, Stage } from './stage.ts';

const durationMsSchema = z.number().int().nonnegative().transform(durationMs);

/**
 * What receive gets of a checked stage: where callbacks arrive, how they are proven, and for which events a rule may
 * speak; no plan, no price, no address of a provider. Reading a whole stage would pull every provider's client into the
 * function that must start fastest.
 */
const receivingStageSchema = z.strictObject({
  name: z.string().min(1),
  policy: z.strictObject({
    version: z.string().min(1),
    rules: z.array(
      z.strictObject({
        ruleId: z.string().min(1),
        provider: z.string().min(1),
        when: z.strictObject({
          kind: z.enum(eventKinds),
          alerts: z.array(z.enum(usageAlerts)).nullable(),
          statuses: z.array(z.enum(orderStatuses)).nullable(),
          warnings: z.array(z.enum(planWarnings)).nullable(),
          packageCodes: z.array(z.string()).nullable(),
          simPrefixes: z.array(z.string()).nullable(),
        }),
      }),
    ),
  }),
  providers: z.array(
    z.strictObject({
      id: z.string().min(1),
      currency: z.string().length(3),
      callbackPath: z.string().startsWith('/'),
      callbacks: z.strictObject({
        acceptUnsigned: z.boolean(),
        verification: z.strictObject({
          variants: z.array(z.string()).nullable(),
          maxAge: durationMsSchema,
          maxFuture: durationMsSchema,
        }),
        acknowledgement: z.strictObject({ contentType: z.string(), body: z.string() }).nullable(),
      }),
    }),
  ),
});

export interface ReceivingStage {
  readonly name: string;
  readonly policy: MatchPolicy;
  readonly providers: readonly ReceivingProvider[];
}

/** The part of a checked stage that travels with receive. */
export function receivingStageOf(stage: Stage): ReceivingStage {
  return {
    name: stage.name,
    policy: {
      version: stage.policy.version,
      rules: stage.policy.rules.map(({ ruleId, provider, when: { maxEventAge: _, ...when } }) => ({
        ruleId,
        provider,
        when,
      })),
    },
    providers: stage.providers.map(({ id, currency, callbackPath, callbacks }) => ({
      id,
      currency,
      callbackPath,
      callbacks,
    })),
  };
}

/** Reads that part again, beside the function. Throws for a file that this version did not write. */
export function readReceivingStage(json: unknown): ReceivingStage {
  const parsed = receivingStageSchema.safeParse(json, parsedOnce);
  if (parsed.success) return parsed.data;
  throw new Error(
    `stage.json does not fit this function; deploy both together: ${z.prettifyError(parsed.error)}`,
  );
}
