import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { z } from 'zod';
import { hours } from '../../shared/core/time.ts';
import { readStage, type Stage } from '../../shared/policy/stage.ts';
import { providers } from '../../shared/providers/registry.ts';
import { type Deployment, deploymentSchema } from './deployment.ts';

/** A stage that is fit to be deployed. */
export interface DeployableStage {
  readonly stage: Stage;
  /** The stage as it was written: plain JSON without secrets, which travels with the functions. */
  readonly input: unknown;
  readonly deployment: Deployment;
}

/** Why a stage is not deployed. The message is what the operator reads: one line per problem, no stack trace. */
export class RefusedStageError extends Error {
  constructor(problems: readonly string[]) {
    super(problems.join('\n'));
    this.name = 'RefusedStageError';
  }
}

/** Who is asked to deploy, as far as the CDK command line knows it: null without credentials. */
export interface Target {
  readonly account: string | null;
  readonly region: string | null;
}

const stagesFolder = new URL('../stages/', import.meta.url);

/** Reads `infra/stages/<name>.ts` and checks it whole. Throws RefusedStageError, before anything is made. */
export async function loadStage(name: unknown, target: Target): Promise<DeployableStage> {
  const known = readdirSync(stagesFolder)
    .filter((file) => file.endsWith('.ts'))
    .map((file) => file.slice(0, -3));
  if (typeof name !== 'string' || name === '') {
    throw new RefusedStageError([`name a stage: -c stage=<name>; infra/stages has ${known.join(', ')}`]);
  }
  if (!known.includes(name)) {
    throw new RefusedStageError([`there is no stage "${name}"; infra/stages has ${known.join(', ')}`]);
  }
  const url = new URL(`${name}.ts`, stagesFolder);
  const module: unknown = await import(url.href);
  const { default: input, aws } = z
    .object({ default: z.unknown(), aws: z.unknown() })
    .parse({ aws: {}, ...toObject(module) });
  const source = { fileName: `infra/stages/${name}.ts`, text: readFileSync(fileURLToPath(url), 'utf8') };
  return checkDeployable({ name, input, aws, source }, target);
}

function toObject(module: unknown): object {
  return typeof module === 'object' && module !== null ? { ...module } : {};
}

export interface WrittenStage {
  /** The name that was asked for. */
  readonly name: string;
  readonly input: unknown;
  readonly aws: unknown;
  readonly source: { readonly fileName: string; readonly text: string | null };
}

/** Everything that must hold before a stage may reach AWS. Throws RefusedStageError. */
export function checkDeployable(written: WrittenStage, target: Target): DeployableStage {
  const { name, input, source } = written;
  const { fileName } = source;
  const reading = readStage(input, source, providers);
  if (!reading.ok) throw new RefusedStageError(reading.problems);
  const { stage } = reading;
  const parsed = deploymentSchema.safeParse(written.aws);
  if (!parsed.success) {
    throw new RefusedStageError(
      parsed.error.issues.map(
        ({ path, message }) => `${fileName}: aws.${path.map(String).join('.')}: ${message}`,
      ),
    );
  }
  const deployment = parsed.data;
  const problems = [
    ...(stage.name === name
      ? []
      : [`${fileName}: name is "${stage.name}"; it must be "${name}", as the file`]),
    ...(stage.providers.length > 0 ? [] : [`${fileName}: providers: a deployed stage needs at least one`]),
    ...Object.keys(stage.secrets).map(
      (id) =>
        `${fileName}: providers.${id}.secrets: a deployed stage holds none; use npx simhook secrets set, and change what stood here`,
    ),
    ...stage.providers
      .filter(callsUnencrypted)
      .map(
        ({ id }) =>
          `${fileName}: providers.${id}.settings.baseUrl: a deployed stage calls https addresses only`,
      ),
    ...silenceProblems(stage, deployment, fileName),
    ...mismatches(deployment, target, fileName),
  ];
  if (problems.length > 0) throw new RefusedStageError(problems);
  return { stage, input: z.json().parse(JSON.parse(JSON.stringify(input))), deployment };
}

const withBaseUrl = z.object({ baseUrl: z.string() });

function callsUnencrypted({ settings }: Stage['providers'][number]): boolean {
  const parsed = withBaseUrl.safeParse(settings);
  return parsed.success && !parsed.data.baseUrl.startsWith('https://');
}

/** CloudWatch looks back a day at most with hourly figures, and a gap under an hour is no gap. */
function silenceProblems(stage: Stage, { silence }: Deployment, fileName: string): readonly string[] {
  return Object.entries(silence).flatMap(([id, gap]) => {
    if (!stage.providers.some((provider) => provider.id === id)) {
      return [`${fileName}: aws.silence.${id}: the stage has no such provider`];
    }
    const fits = gap >= hours(1) && gap <= hours(24) && gap % hours(1) === 0;
    return fits ? [] : [`${fileName}: aws.silence.${id}: must be whole hours from 1h to 24h`];
  });
}

function mismatches(deployment: Deployment, target: Target, fileName: string): readonly string[] {
  return (['account', 'region'] as const).flatMap((what) => {
    const pinned = deployment[what];
    const actual = target[what];
    if (pinned === null || actual === null || pinned === actual) return [];
    return [
      `${fileName}: aws.${what}: the stage belongs to ${pinned}, but the credentials are for ${actual}`,
    ];
  });
}
