import { existsSync, statSync } from 'node:fs';
import { join } from 'node:path';
import type { SecretPurpose, SecretSet, SecretSource } from '../../shared/platform/secret-source.ts';
import type { Stage, StageSecrets } from '../../shared/policy/stage.ts';
import type { WorkQueue } from '../../shared/queue/work-queue.ts';
import type { OnUnreadable } from '../../shared/store/event-listing.ts';
import type { Table } from '../../shared/store/table.ts';
import { codeOf } from '../local/data-folder.ts';
import { openEmbeddedEngines } from '../local/engines.ts';
import { checkStage, loadStageFile } from '../local/load-stage.ts';
import { loadLocalSecrets, memorySecretSource } from '../local/local-secrets.ts';
import type { AwsAccess } from './aws-access.ts';
import { misused, notFound, OpsError } from './failure.ts';
import { interruptibleQueue, interruptibleTable } from './interruptible.ts';
import { noPins, readNamedStage, readStageModule, regionFor, type StageModule } from './stage-module.ts';
import type { OpsWorld } from './world.ts';

/** The system that a command works on. The commands can't tell which world it runs in. */
export interface Connection {
  /** How it is called in messages. */
  readonly label: string;
  readonly table: Table;
  /** `events` and `actions-<provider>`. */
  readonly queues: ReadonlyMap<string, WorkQueue>;
  /** Dead-letter queues by the name of their queue. */
  readonly deadLetters: ReadonlyMap<string, WorkQueue>;
  readonly stage: Stage;
  readonly secrets: SecretSource;
  /** Tells the operator of a row that can't be read and is left out. */
  readonly onUnreadable: OnUnreadable;
  close(): Promise<void>;
}

/** What the command line says about where the system is. */
export interface Where {
  /** The local data folder. */
  readonly data: string;
  /** A stage as a JSON or TypeScript file; null takes the stage's own one. */
  readonly stageFile: string | null;
  readonly place: Place;
}

/** This machine, a stage of which the stack's outputs tell everything, or engines that are named one by one. */
export type Place =
  | { readonly kind: 'local' }
  | {
      readonly kind: 'stage';
      readonly name: string;
      /** Null takes the one that the stage file pins, then the profile's. */
      readonly region: string | null;
      readonly endpoints: Endpoints;
    }
  | { readonly kind: 'engines'; readonly engines: Deployed };

/** Addresses of engines that stand in for AWS; null is AWS itself. */
export interface Endpoints {
  readonly control: string | null;
  readonly dynamo: string | null;
  readonly sqs: string | null;
}

/** Names and addresses of a deployed stage's engines. */
export interface Deployed {
  readonly table: string;
  readonly region: string;
  /** Address of the DynamoDB engine; null is AWS's own. */
  readonly endpoint: string | null;
  /** Address of the SQS engine; null takes the host of each queue's URL. */
  readonly sqsEndpoint: string | null;
  /** Queue URLs by name. */
  readonly queues: ReadonlyMap<string, string>;
  readonly deadLetters: ReadonlyMap<string, string>;
}

/** Opens the system. Throws OpsError with one line when there is none, or it can't be opened. */
export async function connect(where: Where, world: OpsWorld): Promise<Connection> {
  const parts = { ...(await openStage(where, world)), world };
  const { place, data } = where;
  if (place.kind === 'local') return connectLocal(data, parts);
  // Loaded here alone, so that a command on this machine starts without the SDK.
  const { connectDeployed } = await import('./connect-deployed.ts');
  if (place.kind === 'engines') return connectDeployed(place.engines, parts);
  const { findDeployed } = await import('./cloudformation-stage.ts');
  const { name, endpoints } = place;
  const { account, region } = parts;
  const found = await findDeployed(name, { account, region, endpoint: endpoints.control });
  return connectDeployed({ ...found, endpoint: endpoints.dynamo, sqsEndpoint: endpoints.sqs }, parts);
}

/** A stage's rules and secrets, without its engines. */
export interface OpenStage {
  readonly stage: Stage;
  /** Read when they are asked for. */
  readonly secrets: SecretSource;
  /** Where a deployed stage is, as far as the command line and the stage file say. */
  readonly account: string | null;
  readonly region: string | null;
}

/** Reads a stage and finds its secrets. Throws OpsError or StartError with one line per problem. */
export async function openStage(where: Where, world: OpsWorld): Promise<OpenStage> {
  const { place, stageFile } = where;
  if (place.kind !== 'stage') {
    const stage = await loadStage(stageFile, world);
    return { stage, secrets: openSecrets(where, stage, world), ...noPins };
  }
  const file = stageFile === null ? await readNamedStage(place.name) : await readStageFile(stageFile);
  const stage = checkStage(file, world.providers);
  if (stage.name !== place.name) {
    throw misused(
      `--stage is ${place.name}, but ${file.fileName} is of the stage "${stage.name}": name the stage's own file`,
    );
  }
  const { account } = file.pins;
  const region = regionFor(place.name, place.region, file.pins);
  const secrets = stageSecrets(place.name, { region, endpoint: place.endpoints.control });
  return { stage, secrets, account, region };
}

/** Secrets of a deployed stage, each read once and only when it is needed; one that was never set has no keys. */
function stageSecrets(name: string, access: AwsAccess): SecretSource {
  const sets = new Map<string, Promise<SecretSet>>();
  const fetch = async (provider: string, purpose: SecretPurpose): Promise<SecretSet> => {
    const { readSecretSet } = await import('./secrets-manager-shelf.ts');
    return readSecretSet({ stage: name, provider, purpose }, access);
  };
  return {
    read: (provider, purpose) => {
      const id = `${provider}/${purpose}`;
      const set = sets.get(id) ?? fetch(provider, purpose);
      sets.set(id, set);
      return set;
    },
    reread: async () => null,
  };
}

/** Reads and checks a stage file; null is the stage of `npm start`. Throws OpsError `failed` with a line per problem. */
export async function loadStage(path: string | null, world: OpsWorld): Promise<Stage> {
  return checkStage(await readStageFile(path), world.providers);
}

async function readStageFile(path: string | null): Promise<StageModule> {
  if (path === null || !/\.[mc]?[jt]s$/.test(path)) return { ...loadStageFile(path), pins: noPins };
  return readStageModule(path);
}

/** Secrets that the stage file brings, then those of the data folder. None is ever made here. */
function openSecrets(where: Where, stage: Stage, world: OpsWorld): SecretSource {
  const path = join(where.data, 'secrets.json');
  const local: Readonly<Record<string, StageSecrets>> = existsSync(path) ? readSecrets(path, world) : {};
  return memorySecretSource({ ...local, ...stage.secrets });
}

function readSecrets(path: string, world: OpsWorld): Readonly<Record<string, StageSecrets>> {
  try {
    return loadLocalSecrets(path, world.random);
  } catch (error) {
    throw new OpsError('failed', error instanceof Error ? error.message : String(error), { cause: error });
  }
}

function connectLocal(
  data: string,
  parts: { readonly stage: Stage; readonly secrets: SecretSource; readonly world: OpsWorld },
): Connection {
  const { stage, secrets, world } = parts;
  const path = join(data, 'simhook.db');
  assertReadable(data, path);
  const engines = openEmbeddedEngines(
    path,
    stage.providers.map((provider) => provider.id),
    world.clock,
  );
  return {
    label: `the data folder ${data}`,
    table: interruptibleTable(engines.table),
    queues: new Map([
      ['events', engines.events],
      ...[...engines.actions].map(([id, queue]) => [`actions-${id}`, queue] as const),
    ]),
    deadLetters: new Map(
      [...engines.deadLetters].map(([name, queue]) => [name, interruptibleQueue(queue)] as const),
    ),
    stage,
    secrets,
    onUnreadable: tellUnreadable(world),
    close: () => engines.close(),
  };
}

/** Opening would make an empty store; an operator's question is never the start of a new system. */
function assertReadable(data: string, path: string): void {
  try {
    statSync(path);
  } catch (error) {
    if (codeOf(error) !== 'ENOENT') {
      throw new OpsError('unreachable', `${path} can't be read (${codeOf(error)}): check its permissions`);
    }
    throw notFound(
      `there is no simhook in the data folder ${data}: start it once with npm start, or name another folder with --data`,
    );
  }
}

/** One line per row, without the list of everything that is wrong with it. */
export function tellUnreadable(world: OpsWorld): OnUnreadable {
  return (error) => world.terminal.complain(`left out: ${error.message.split('\n')[0]}\n`);
}

/** The queue of a name; throws OpsError `not-found` with the names that exist. */
export function queueNamed(queues: ReadonlyMap<string, WorkQueue>, name: string): WorkQueue {
  const queue = queues.get(name);
  if (queue) return queue;
  const names = [...queues.keys()].join(', ') || 'none';
  throw notFound(`there is no queue "${name}"; there are: ${names}`);
}

/** Reads `name=url` words of --queue and --dead-letter. Throws OpsError `usage`. */
export function readQueueUrls(option: string, words: readonly string[]): ReadonlyMap<string, string> {
  return new Map(
    words.map((word) => {
      const at = word.indexOf('=');
      const url = word.slice(at + 1);
      if (at < 1 || !URL.canParse(url)) throw misused(`${option} is "${word}", but it must be name=url`);
      return [word.slice(0, at), url];
    }),
  );
}
