import type { Command } from 'commander';
import type { SecretPurpose } from '../../../shared/platform/secret-source.ts';
import type { SecretValue } from '../../../shared/platform/secrets-manager-source.ts';
import { secretMarkName, secretMarkOf } from '../../names.ts';
import { type AwsAccess, awsFailure } from '../aws-access.ts';
import { addCommand } from '../command.ts';
import { failed, misused, type OpsError } from '../failure.ts';
import { readWhole, showMoment } from '../notation.ts';
import { type Output, openOutput } from '../output.ts';
import { changeSecret } from '../secret-change.ts';
import type { SecretShelf } from '../secrets-manager-shelf.ts';
import type { SecretMarks } from '../ssm-secret-marks.ts';
import { readPins, regionFor } from '../stage-module.ts';
import type { OpsWorld } from '../world.ts';

interface StageOptions {
  readonly stage?: string;
  readonly region?: string;
  readonly controlEndpoint?: string;
  readonly json: boolean;
}

interface SetOptions extends StageOptions {
  readonly provider: string;
  readonly purpose: string;
  readonly keyId?: string;
  readonly keep: string;
  readonly pathToken: boolean;
}

const purposes: readonly SecretPurpose[] = ['callback', 'api'];

/** A stored secret keeps at most so many live keys. */
const keepMax = 5;

/** `secrets set`, `list` and `mark`: of a deployed stage. The local ones stand in the data folder. */
export function addSecretCommands(program: Command, world: OpsWorld): void {
  const group = program.command('secrets').description("A deployed stage's keys, in Secrets Manager.");
  addCommand(group, {
    name: 'set',
    description: 'Adds a key, read from standard input, as the newest; older ones stay live for a rotation.',
    examples: [
      'npx simhook secrets set --stage production --region eu-central-1 --provider eiotclub --purpose api --key-id 000001 < key.txt',
      'npx simhook secrets set --stage production --region eu-central-1 --provider linksfield-csss --purpose callback --path-token',
    ],
    more: 'The key never stands on the command line and is never shown. Functions see it within 5 minutes; a callback\nwhose signature fails makes them look at once. Afterwards a mark is left in Parameter Store, without which the stage\nis not deployed.',
  })
    .requiredOption('--provider <id>', 'whose')
    .requiredOption(
      '--purpose <purpose>',
      'callback (what callbacks are verified with) or api (what calls are signed with)',
    )
    .option('--key-id <id>', 'what the provider calls the key: the EIOTCLUB appkey, the Cube keyId')
    .option('--keep <number>', `live keys in all, 1 to ${keepMax}`, '2')
    .option(
      '--path-token',
      'a new random path token instead of a key; printed once, for the address that you give out',
      false,
    )
    .action(async (_options: object, command: Command) => set(command.optsWithGlobals<SetOptions>(), world));
  addCommand(group, {
    name: 'list',
    description: 'Which keys are set, by their ids; never their values.',
    examples: ['npx simhook secrets list --stage production --region eu-central-1'],
  }).action(async (_options: object, command: Command) =>
    list(command.optsWithGlobals<StageOptions>(), world),
  );
  addCommand(group, {
    name: 'mark',
    description: 'Sets the marks in Parameter Store right, after secrets were changed in the console.',
    examples: ['npx simhook secrets mark --stage production --region eu-central-1'],
    more: 'A secret that holds a key or a path token gets its mark, one that holds neither loses it. CloudFormation deploys a\nstage only where each mark is there. Safe to run at any time.',
  }).action(async (_options: object, command: Command) =>
    markAll(command.optsWithGlobals<StageOptions>(), world),
  );
}

/** The secrets of one stage and the marks beside them. */
interface Store {
  readonly stage: string;
  readonly shelf: SecretShelf;
  readonly marks: SecretMarks;
  readonly out: Output;
}

async function set(options: SetOptions, world: OpsWorld): Promise<void> {
  const { provider } = options;
  const purpose = purposes.find((each) => each === options.purpose);
  if (purpose === undefined)
    throw misused(`--purpose is "${options.purpose}", but it is ${purposes.join(' or ')}`);
  if (options.pathToken && purpose !== 'callback') throw misused('--path-token goes with --purpose callback');
  if (!world.providers.some(({ id }) => id === provider)) {
    throw misused(
      `--provider is "${provider}", but there are ${world.providers.map(({ id }) => id).join(', ')}`,
    );
  }
  const keep = readWhole('--keep', options.keep, { min: 1, max: keepMax });
  await withStore(options, world, async (store) => {
    const { shelf, out } = store;
    const key = options.pathToken ? null : { keyId: options.keyId ?? null, value: await readKey(world) };
    const pathToken = options.pathToken ? world.random.hex(16) : null;
    const next = await reachSecrets(async () => {
      const changed = changeSecret(await shelf.read(provider, purpose), { purpose, key, pathToken, keep });
      await shelf.write(provider, purpose, changed);
      return changed;
    });
    // The token is nowhere else to be seen: it is told before anything that may fail.
    await out.value({ provider, purpose, keys: next.keys.map(({ keyId }) => keyId), pathToken });
    await out.line(`${provider} ${purpose}: ${next.keys.length} live keys, newest first`);
    if (pathToken !== null) await out.line(`path token, to be put behind the callback address: ${pathToken}`);
    await out.line(await mark(store, { provider, purpose, value: next }, world));
  });
}

interface Held {
  readonly provider: string;
  readonly purpose: SecretPurpose;
  readonly value: SecretValue | null;
}

/** The secret first, then its mark: a mark without a secret would let a stage be deployed that can't work. */
async function mark(store: Store, { provider, purpose, value }: Held, world: OpsWorld): Promise<string> {
  const { stage, marks } = store;
  const says = secretMarkOf(value, purpose);
  try {
    if (says === null) return (await marks.remove(provider, purpose)) ? 'mark removed' : 'no mark';
    const note = `${value?.keys.length ?? 0} live keys, seen ${showMoment(world.clock())} by npx simhook secrets`;
    await marks.write(provider, purpose, says, note);
    return `marked "${says}"`;
  } catch (error) {
    const name = secretMarkName(stage, provider, purpose);
    const what = says === null ? 'be removed' : 'be written';
    throw awsFailure(
      error,
      `the secret is kept as it is now, but its mark ${name} could not ${what}; run npx simhook secrets mark --stage ${stage} once this is mended`,
      'ssm:PutParameter and ssm:DeleteParameter',
    );
  }
}

async function markAll(options: StageOptions, world: OpsWorld): Promise<void> {
  await withStore(options, world, async (store) => {
    let found = 0;
    for (const { id: provider } of world.providers) {
      for (const purpose of purposes) {
        const value = await readAny(store.shelf, provider, purpose);
        const done = await mark(store, { provider, purpose, value }, world);
        found += value === null ? 0 : 1;
        await store.out.value({ provider, purpose, mark: secretMarkOf(value, purpose) });
        await store.out.line(`${provider.padEnd(16)} ${purpose.padEnd(8)} ${done}`);
      }
    }
    if (found === 0)
      throw failed(
        `no secret of the stage ${store.stage} holds anything: set them, or check --stage and --region`,
      );
  });
}

async function list(options: StageOptions, world: OpsWorld): Promise<void> {
  await withStore(options, world, async ({ shelf, marks, out }) => {
    for (const { id: provider } of world.providers) {
      for (const purpose of purposes) {
        const value = await readAny(shelf, provider, purpose);
        const said = await readMark(marks, provider, purpose);
        const keys = value?.keys.map(({ keyId }) => keyId ?? '(unnamed)') ?? [];
        const token = value?.pathToken != null;
        await out.value({ provider, purpose, keys, pathToken: token, mark: said });
        const stale =
          said === secretMarkOf(value, purpose) ? '' : '; its mark is not right: npx simhook secrets mark';
        await out.line(
          `${provider.padEnd(16)} ${purpose.padEnd(8)} ${keys.length === 0 ? 'no key' : keys.join(', ')}${token ? ', path token set' : ''}${stale}`,
        );
      }
    }
  });
}

async function readMark(
  marks: SecretMarks,
  provider: string,
  purpose: SecretPurpose,
): Promise<string | null> {
  try {
    return await marks.read(provider, purpose);
  } catch (error) {
    throw awsFailure(error, 'Parameter Store could not be asked for marks', 'ssm:GetParameter');
  }
}

/** Opens both services, which are loaded here only: no other command needs them. */
async function withStore(
  options: StageOptions,
  world: OpsWorld,
  work: (store: Store) => Promise<void>,
): Promise<void> {
  const { stage, region, controlEndpoint } = options;
  if (stage === undefined) throw misused('secrets needs --stage: local secrets stand in the data folder');
  const pins = await readPins(stage);
  const access: AwsAccess = {
    region: regionFor(stage, region ?? null, pins),
    endpoint: controlEndpoint ?? null,
  };
  const [{ openSecretShelf }, { openSecretMarks }, { assertOwnAccount }] = await Promise.all([
    import('../secrets-manager-shelf.ts'),
    import('../ssm-secret-marks.ts'),
    import('../cloudformation-stage.ts'),
  ]);
  await assertOwnAccount(stage, { ...access, account: pins.account });
  const shelf = openSecretShelf(stage, access);
  const marks = openSecretMarks(stage, access);
  try {
    await work({ stage, shelf, marks, out: openOutput(world.terminal, options.json) });
  } finally {
    shelf.close();
    marks.close();
  }
}

async function readKey(world: OpsWorld): Promise<string> {
  const text = Buffer.from(await world.readStdin())
    .toString('utf8')
    .replace(/\r?\n$/, '');
  if (text.length > 0 && text.length <= 10_000) return text;
  throw misused(`a key of 1 to 10000 characters is read from standard input, but there were ${text.length}`);
}

/** A provider that the stage does not have has no secret: for those who look at all of them, that is none. */
async function readAny(
  shelf: SecretShelf,
  provider: string,
  purpose: SecretPurpose,
): Promise<SecretValue | null> {
  try {
    return await shelf.read(provider, purpose);
  } catch (error) {
    if (isAbsent(error)) return null;
    throw refused(error);
  }
}

async function reachSecrets<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (isAbsent(error))
      throw failed(
        'the stage has no such secret: deploy its state stack first, or check --stage and --region',
      );
    throw refused(error);
  }
}

function isAbsent(error: unknown): boolean {
  return error instanceof Error && error.name === 'ResourceNotFoundException';
}

function refused(error: unknown): OpsError {
  const right = 'secretsmanager:GetSecretValue and secretsmanager:PutSecretValue';
  return awsFailure(error, 'Secrets Manager could not be used', right);
}
