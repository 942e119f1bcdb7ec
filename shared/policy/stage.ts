import { createHash } from 'node:crypto';
import { z } from 'zod';
import { actionKinds } from '../core/action.ts';
import { parsedOnce } from '../core/parsed-once.ts';
import type { PeriodCaps, Policy, ProviderPolicy, Rule } from '../core/policy.ts';
import type { AccountLimits } from '../core/rate-limit.ts';
import { type DurationMs, days, hours, minutes, seconds } from '../core/time.ts';
import {
  type EventKind,
  eventKinds,
  orderStatuses,
  planWarnings,
  usageAlerts,
} from '../core/webhook-event.ts';
import type { Acknowledgement, Provider, ProviderProfile } from '../providers/provider.ts';
import { durationSchema, moneySchema } from './notation.ts';

/** What receive needs to know of a provider. */
export interface ReceivingProvider {
  readonly id: string;
  readonly currency: string;
  /** Path without a trailing slash; the secret token, where there is one, follows it. */
  readonly callbackPath: string;
  readonly callbacks: {
    readonly acceptUnsigned: boolean;
    readonly verification: {
      readonly variants: readonly string[] | null;
      readonly maxAge: DurationMs;
      readonly maxFuture: DurationMs;
    };
    /** What the provider wants to read; null leaves it to the provider's own default. */
    readonly acknowledgement: Acknowledgement | null;
  };
}

/** One provider of a stage, checked. */
export interface StageProvider extends ReceivingProvider {
  /** The provider's own settings, checked by its `settingsSchema`. */
  readonly settings: unknown;
  readonly limits: AccountLimits;
  readonly profile: ProviderProfile;
}

/** Secret values of a stage that is given from outside, for one machine only. Never allowed in a deployed stage. */
export interface StageSecrets {
  readonly callback: readonly { readonly keyId: string | null; readonly value: string }[];
  readonly api: readonly { readonly keyId: string | null; readonly value: string }[];
  readonly pathToken: string | null;
}

/** Everything an operator decided for one deployment. */
export interface Stage {
  readonly name: string;
  readonly policy: Policy;
  readonly providers: readonly StageProvider[];
  readonly secrets: Readonly<Record<string, StageSecrets>>;
}

/** Longest paid call: infra/topology.ts fits functions and leases to it. A longer one would never be started. */
export const callTimeoutMax = seconds(20);

/**
 * Shortest time in which an order may still appear in a provider's records. With less, an order on its way would be
 * taken for absent and bought again. Cube, the only one with figures, ends 99 % of its calls within 4 s, and the rest
 * is what this is for (protocols/linksfield.md, section 5.1); a minute is also what lies between the two looks of D6.
 */
export const lateCommitMin = minutes(1);

/** A SIM remembers so many claims (shared/core/lifecycle.ts), so a breaker above it would never open. */
export const simPurchasesMax = 20;

const ruleIdSchema = z
  .string()
  .regex(/^[a-z][a-z0-9-]{0,59}$/, 'a rule id is lower-case letters, digits and hyphens, at most 60 of them');

const capsSchema = z
  .strictObject({
    day: moneySchema.optional().describe('most per UTC day'),
    month: moneySchema.optional().describe('most per UTC month'),
  })
  .default({});

const secretListSchema = z
  .array(z.strictObject({ keyId: z.string().min(1).nullable().default(null), value: z.string().min(1) }))
  .default([]);

const providerSchema = z.strictObject({
  currency: z.string().regex(/^[A-Z]{3}$/, 'a currency is three capital letters, such as USD'),
  settings: z
    .record(z.string(), z.unknown())
    .describe("the provider's own settings: account, base URL, quirks"),
  callbackPath: z
    .string()
    .regex(/^(\/[A-Za-z0-9._~-]+)+$/, 'a callback path starts with / and has no slash at its end')
    .optional()
    .describe('default /callbacks/<provider>'),
  callbacks: z
    .strictObject({
      variants: z
        .array(z.string())
        .min(1)
        .nullable()
        .default(null)
        .describe('accepted signature variants; null accepts each documented one'),
      acceptUnsigned: z
        .boolean()
        .default(false)
        .describe('store callbacks without a signature that come on the secret path'),
      maxAge: durationSchema.default(hours(72)).describe('oldest signed time that is accepted'),
      maxFuture: durationSchema
        .default(minutes(10))
        .describe('how far ahead of our clock a signed time may be'),
      acknowledgement: z
        .strictObject({ contentType: z.string().min(1), body: z.string() })
        .nullable()
        .default(null),
    })
    .prefault({}),
  limits: z
    .strictObject({
      requestsPerSec: z.number().int().min(1).max(1000).optional(),
      connectionsMax: z.number().int().min(1).max(1000).optional(),
      requestsPerDay: z.number().int().min(1).optional(),
      lateCommit: durationSchema
        .refine(
          (span) => span >= lateCommitMin,
          `an order may appear late in a provider's records, so at least ${lateCommitMin / 1_000}s: before that, its absence proves nothing and a second one would be bought`,
        )
        .optional(),
      callTimeout: durationSchema
        .refine((span) => span <= callTimeoutMax, `a call may take ${callTimeoutMax / 1_000}s at most`)
        .optional(),
    })
    .prefault({}),
  caps: z.strictObject({ sim: capsSchema, provider: capsSchema }).prefault({}),
  breakers: z
    .strictObject({
      simPurchases: z.number().int().min(1).max(simPurchasesMax).default(3),
      simWindow: durationSchema.default(days(1)),
      purchasesPerHour: z.number().int().min(1).default(1_000),
      refusalsInARow: z.number().int().min(1).default(5),
    })
    .prefault({}),
  secrets: z
    .strictObject({
      callback: secretListSchema,
      api: secretListSchema,
      pathToken: z.string().min(16).nullable().default(null),
    })
    .optional()
    .describe('one machine only; a deployed stage keeps its secrets in Secrets Manager'),
});

const ruleSchema = z.strictObject({
  id: ruleIdSchema,
  provider: z.string(),
  enabled: z.boolean().default(true),
  when: z.strictObject({
    kind: z.enum(eventKinds).exclude(['unknown']),
    alerts: z
      .array(z.enum(usageAlerts).exclude(['unknown']))
      .min(1)
      .nullable()
      .default(null),
    statuses: z
      .array(z.enum(orderStatuses).exclude(['unknown']))
      .min(1)
      .nullable()
      .default(null),
    warnings: z
      .array(z.enum(planWarnings).exclude(['unknown']))
      .min(1)
      .nullable()
      .default(null),
    packageCodes: z.array(z.string().min(1)).min(1).nullable().default(null),
    simPrefixes: z
      .array(z.string().regex(/^\d{2,20}$/))
      .min(1)
      .nullable()
      .default(null),
    maxEventAge: durationSchema.default(hours(72)),
  }),
  do: z.strictObject({ kind: z.enum(actionKinds), plan: z.record(z.string(), z.json()) }),
  maxCost: moneySchema
    .refine((amount) => amount.amountMinor > 0, 'must be above zero, since reservations and caps count it')
    .describe('the most that one action may cost'),
  unknownPrice: z
    .enum(['allow', 'park'])
    .default('allow')
    .describe('park: a human is asked when the provider names no price before the call'),
  cooldown: durationSchema.describe('after acting for a SIM, the rule leaves it alone for so long'),
  approval: z.boolean().default(false).describe('true: a human approves each action'),
  coalesce: z
    .boolean()
    .default(false)
    .describe('true: actions that are due together leave in one provider call for several SIMs'),
  caps: capsSchema,
});

export const stageSchema = z.strictObject({
  $schema: z.string().optional(),
  name: z
    .string()
    .regex(/^[a-z][a-z0-9-]{0,29}$/, 'a stage name is lower-case letters, digits and hyphens, at most 30'),
  providers: z.record(z.string(), providerSchema),
  rules: z.array(ruleSchema).max(500),
});

/** What a stage file holds, as it is written. */
export type StageInput = z.input<typeof stageSchema>;
type ParsedStage = z.infer<typeof stageSchema>;
type ParsedRule = ParsedStage['rules'][number];
type ParsedProvider = ParsedStage['providers'][string];

/** Gives a stage file its type. */
export function defineStage(stage: StageInput): StageInput {
  return stage;
}

export type StageReading =
  | { readonly ok: true; readonly stage: Stage }
  /** One line per problem, each with the place in the file, what is wrong and what is allowed. */
  | { readonly ok: false; readonly problems: readonly string[] };

export interface StageSource {
  /** How the file is called in messages. */
  readonly fileName: string;
  /** The file's text, to find the line of a problem in; null when there is none. */
  readonly text: string | null;
}

/** Checks a stage whole: its shape, its providers' settings, and that each rule can buy what it says. */
export function readStage(input: unknown, source: StageSource, providers: readonly Provider[]): StageReading {
  const parsed = stageSchema.safeParse(input, parsedOnce);
  if (!parsed.success) {
    return {
      ok: false,
      problems: parsed.error.issues.map((issue) => {
        const unknownKey = issue.code === 'unrecognized_keys' ? issue.keys.slice(0, 1) : [];
        return problem(source, issue.path, issue.message, input, unknownKey);
      }),
    };
  }
  const problems: string[] = [];
  const report = (path: readonly PropertyKey[], message: string): void => {
    problems.push(problem(source, path, message, input));
  };
  const stageProviders = Object.entries(parsed.data.providers).flatMap(([id, entry]) => {
    const checked = checkProvider(id, entry, providers, report);
    return checked === null ? [] : [checked];
  });
  checkPaths(stageProviders, report);
  const rules = parsed.data.rules.flatMap((rule, i) => {
    const checked = checkRule(rule, i, parsed.data, providers, report);
    return checked === null ? [] : [checked];
  });
  parsed.data.rules.forEach((rule, i) => {
    if (parsed.data.rules.findIndex((other) => other.id === rule.id) < i)
      report(['rules', i, 'id'], `the rule id "${rule.id}" stands twice; give each rule its own`);
  });
  if (problems.length > 0) return { ok: false, problems };
  return { ok: true, stage: assemble(parsed.data, stageProviders, rules) };
}

type Report = (path: readonly PropertyKey[], message: string) => void;

function checkProvider(
  id: string,
  entry: ParsedProvider,
  providers: readonly Provider[],
  report: Report,
): StageProvider | null {
  const known = providers.find((provider) => provider.id === id);
  if (!known) {
    report(
      ['providers', id],
      `there is no provider "${id}"; simhook has ${providers.map((p) => p.id).join(', ')}`,
    );
    return null;
  }
  const settings = known.settingsSchema.safeParse(entry.settings, parsedOnce);
  if (!settings.success) {
    for (const issue of settings.error.issues)
      report(['providers', id, 'settings', ...issue.path], issue.message);
    return null;
  }
  entry.callbacks.variants?.forEach((variant, i) => {
    if (known.callbackVariants.includes(variant)) return;
    const names = known.callbackVariants.join(', ');
    report(
      ['providers', id, 'callbacks', 'variants', i],
      `there is no variant "${variant}"; ${id} has ${names}`,
    );
  });
  for (const scope of ['sim', 'provider'] as const) {
    for (const period of ['day', 'month'] as const) {
      const cap = entry.caps[scope][period];
      if (cap && cap.currency !== entry.currency)
        report(['providers', id, 'caps', scope, period], otherCurrency(cap.currency, id, entry.currency));
    }
  }
  const { limits } = entry;
  const connectionsMax = limits.connectionsMax ?? known.profile.connectionsMax;
  const requestsPerDay = limits.requestsPerDay ?? known.profile.requestsPerDay;
  const requestsPerSec = limits.requestsPerSec ?? known.profile.requestsPerSec;
  return {
    id,
    currency: entry.currency,
    callbackPath: entry.callbackPath ?? `/callbacks/${id}`,
    callbacks: {
      acceptUnsigned: entry.callbacks.acceptUnsigned,
      verification: {
        variants: entry.callbacks.variants,
        maxAge: entry.callbacks.maxAge,
        maxFuture: entry.callbacks.maxFuture,
      },
      acknowledgement: entry.callbacks.acknowledgement,
    },
    settings: settings.data,
    limits: { provider: id, requestsPerSec, connectionsMax, requestsPerDay },
    profile: {
      ...known.profile,
      requestsPerSec,
      connectionsMax,
      requestsPerDay,
      lateCommit: limits.lateCommit ?? known.profile.lateCommit,
      callTimeout: limits.callTimeout ?? known.profile.callTimeout,
    },
  };
}

/** Two providers on one path, or one inside the other, could be mistaken for each other. */
function checkPaths(providers: readonly StageProvider[], report: Report): void {
  for (const a of providers) {
    for (const b of providers) {
      if (a.id < b.id && `${b.callbackPath}/`.startsWith(`${a.callbackPath}/`)) clash(a, b);
      else if (a.id < b.id && `${a.callbackPath}/`.startsWith(`${b.callbackPath}/`)) clash(a, b);
    }
  }
  function clash(a: StageProvider, b: StageProvider): void {
    report(
      ['providers', b.id, 'callbackPath'],
      `"${b.callbackPath}" clashes with "${a.callbackPath}" of ${a.id}; choose paths that are not inside each other`,
    );
  }
}

function checkRule(
  rule: ParsedRule,
  index: number,
  stage: ParsedStage,
  providers: readonly Provider[],
  report: Report,
): Rule | null {
  const at = (...path: PropertyKey[]): readonly PropertyKey[] => ['rules', index, ...path];
  const entry = stage.providers[rule.provider];
  const provider = providers.find((p) => p.id === rule.provider);
  if (!entry || !provider) {
    report(
      at('provider'),
      `the stage has no provider "${rule.provider}"; it has ${Object.keys(stage.providers).join(', ') || 'none'}`,
    );
    return null;
  }
  const planSchema = provider.planSchemas[rule.do.kind];
  if (planSchema === null) {
    const kinds = actionKinds.filter((kind) => provider.planSchemas[kind] !== null);
    report(at('do', 'kind'), `${rule.provider} has no action "${rule.do.kind}"; it has ${kinds.join(', ')}`);
    return null;
  }
  const plan = planSchema.safeParse(rule.do.plan, parsedOnce);
  if (!plan.success) {
    for (const issue of plan.error.issues) report(at('do', 'plan', ...issue.path), issue.message);
    return null;
  }
  for (const [name, amount] of [
    ['maxCost', rule.maxCost],
    ['caps.day', rule.caps.day],
    ['caps.month', rule.caps.month],
  ] as const) {
    if (amount && amount.currency !== entry.currency) {
      report(at(...name.split('.')), otherCurrency(amount.currency, rule.provider, entry.currency));
      return null;
    }
  }
  if (rule.coalesce && provider.simsPerCall[rule.do.kind] === undefined) {
    const kinds = actionKinds.filter((kind) => provider.simsPerCall[kind] !== undefined);
    report(
      at('coalesce'),
      `${rule.provider} takes one SIM per call of "${rule.do.kind}"; several only of: ${kinds.join(', ') || 'none'}`,
    );
  }
  for (const [list, kind] of listKinds) {
    if (rule.when[list] !== null && rule.when.kind !== kind)
      report(at('when', list), `only a ${kind} has ${list}, so "${rule.when.kind}" would match without them`);
  }
  return {
    ruleId: rule.id,
    provider: rule.provider,
    enabled: rule.enabled,
    when: rule.when,
    action: rule.do.kind,
    plan: plan.data,
    maxCost: rule.maxCost,
    unknownPrice: rule.unknownPrice,
    cooldown: rule.cooldown,
    approval: rule.approval,
    caps: periodCaps(rule.caps),
    simsPerCall: rule.coalesce ? (provider.simsPerCall[rule.do.kind] ?? 1) : 1,
  };
}

/** Lists of a condition that only one kind of event can be held against. */
const listKinds: readonly (readonly ['alerts' | 'statuses' | 'warnings', EventKind])[] = [
  ['alerts', 'usage-alert'],
  ['statuses', 'order-status'],
  ['warnings', 'plan-reminder'],
];

function otherCurrency(given: string, provider: string, currency: string): string {
  return `${given} is not the currency of ${provider}, which is ${currency}`;
}

function assemble(parsed: ParsedStage, providers: readonly StageProvider[], rules: readonly Rule[]): Stage {
  const providerPolicies = providers.map(({ id, currency }): ProviderPolicy => {
    const entry = parsed.providers[id];
    if (!entry) throw new Error(`provider ${id} vanished while the stage was read`);
    return {
      provider: id,
      currency,
      simCaps: periodCaps(entry.caps.sim),
      caps: periodCaps(entry.caps.provider),
      simVelocity: { max: entry.breakers.simPurchases, window: entry.breakers.simWindow },
      purchasesPerHour: entry.breakers.purchasesPerHour,
      refusalsInARow: entry.breakers.refusalsInARow,
    };
  });
  const content = JSON.stringify({ rules, providers: providerPolicies });
  const version = createHash('sha256').update(content).digest('hex').slice(0, 12);
  const secrets = Object.entries(parsed.providers).flatMap(([id, entry]) =>
    entry.secrets ? [[id, entry.secrets] as const] : [],
  );
  return {
    name: parsed.name,
    policy: { version, rules, providers: providerPolicies },
    providers,
    secrets: Object.fromEntries(secrets),
  };
}

function periodCaps(caps: ParsedRule['caps']): PeriodCaps {
  return { dayMinor: caps.day?.amountMinor ?? null, monthMinor: caps.month?.amountMinor ?? null };
}

/** `stages/local.ts:12: rule "renew-low-data" cooldown: …, but it is "12 hours"`. */
function problem(
  source: StageSource,
  path: readonly PropertyKey[],
  message: string,
  input: unknown,
  unknownKey: readonly PropertyKey[] = [],
): string {
  const ruleIndex = path[0] === 'rules' && typeof path[1] === 'number' ? path[1] : null;
  const ruleId = ruleIndex === null ? null : ruleIdAt(input, ruleIndex);
  const line = source.text === null ? null : lineOf(source.text, [...path, ...unknownKey], input);
  const place = line === null ? source.fileName : `${source.fileName}:${line}`;
  const rule =
    ruleIndex === null ? '' : `rule ${ruleId === null ? `number ${ruleIndex + 1}` : `"${ruleId}"`}`;
  const field = (ruleIndex === null ? path : path.slice(2)).map(String).join('.');
  const secret = path.includes('secrets');
  const seen = valueAt(input, path);
  const value =
    secret || seen === undefined || typeof seen === 'object' ? '' : `, but it is ${JSON.stringify(seen)}`;
  const where = [rule, field].filter((part) => part !== '').join(' ');
  return [place, where, `${message}${value}`].filter((part) => part !== '').join(': ');
}

function ruleIdAt(input: unknown, index: number): string | null {
  const id = valueAt(input, ['rules', index, 'id']);
  return typeof id === 'string' ? id : null;
}

function valueAt(input: unknown, path: readonly PropertyKey[]): unknown {
  let value: unknown = input;
  for (const key of path) {
    if (typeof value !== 'object' || value === null) return undefined;
    value = Object.getOwnPropertyDescriptor(value, key)?.value;
  }
  return value;
}

/**
 * The line of the last key of the path that stands in the text, within the rule that the path names; null when none
 * does. A field that is missing has no line, so the line is that of what it is missing in.
 */
function lineOf(text: string, path: readonly PropertyKey[], input: unknown): number | null {
  const rule = path[0] === 'rules' && typeof path[1] === 'number' ? extentOfRule(text, input, path[1]) : null;
  const { start, end } = rule ?? { start: 0, end: text.length };
  const given = valueAt(input, path) === undefined ? path.slice(0, -1) : path;
  let from = start;
  for (const key of rule === null ? given : given.slice(2)) {
    if (typeof key !== 'string') continue;
    const at = text.slice(from, end).search(new RegExp(`["']?(?<![\\w-])${quoted(key)}["']?\\s*:`));
    if (at >= 0) from += at;
  }
  return from === 0 ? null : text.slice(0, from).split('\n').length;
}

const quoted = (part: string): string => part.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');

/** From a rule's id to the next rule's; null for a rule without a readable id. The id is a rule's first field. */
function extentOfRule(text: string, input: unknown, index: number): { start: number; end: number } | null {
  const start = placeOfId(text, input, index);
  if (start === null) return null;
  return { start, end: placeOfId(text, input, index + 1) ?? text.length };
}

function placeOfId(text: string, input: unknown, index: number): number | null {
  const id = ruleIdAt(input, index);
  if (id === null) return null;
  const places = [...text.matchAll(new RegExp(`["']?\\bid["']?\\s*:\\s*["']${quoted(id)}["']`, 'g'))];
  const before = Array.from({ length: index }, (_, i) => ruleIdAt(input, i)).filter(
    (one) => one === id,
  ).length;
  return places[before]?.index ?? null;
}

/** The stage's JSON Schema, for editors. */
export function stageJsonSchema(): object {
  return z.toJSONSchema(stageSchema, { io: 'input', unrepresentable: 'any' });
}
