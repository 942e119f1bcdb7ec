import type { Command } from 'commander';
import type { SecretPurpose } from '../../../shared/platform/secret-source.ts';
import { addCommand } from '../command.ts';
import { failed, misused, OpsError } from '../failure.ts';
import { readWhole } from '../notation.ts';
import { openOutput } from '../output.ts';
import { changeSecret } from '../secret-change.ts';
import { openSecretShelf, type SecretShelf } from '../secrets-manager-shelf.ts';
import type { OpsWorld } from '../world.ts';

interface SecretOptions {
  readonly stage?: string;
  readonly region?: string;
  readonly secretsEndpoint?: string;
  readonly provider: string;
  readonly purpose: string;
  readonly keyId?: string;
  readonly keep: string;
  readonly pathToken: boolean;
  readonly json: boolean;
}

const purposes: readonly SecretPurpose[] = ['callback', 'api'];

/** A stored secret keeps at most so many live keys. */
const keepMax = 5;

/** `secrets set` and `secrets list`: of a deployed stage. The local ones stand in the data folder. */
export function addSecretCommands(program: Command, world: OpsWorld): void {
  const group = program.command('secrets').description("A deployed stage's keys, in Secrets Manager.");
  addCommand(group, {
    name: 'set',
    description: 'Adds a key, read from standard input, as the newest; older ones stay live for a rotation.',
    examples: [
      'npx simhook secrets set --stage production --region eu-central-1 --provider eiotclub --purpose api --key-id 000001 < key.txt',
      'npx simhook secrets set --stage production --region eu-central-1 --provider linksfield-csss --purpose callback --path-token',
    ],
    more: 'The key never stands on the command line and is never shown. Functions see it within 5 minutes; a callback\nwhose signature fails makes them look at once.',
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
    .option('--secrets-endpoint <url>', 'address of the engine, where it is not AWS')
    .action(async (_options: object, command: Command) =>
      set(command.optsWithGlobals<SecretOptions>(), world),
    );
  addCommand(group, {
    name: 'list',
    description: 'Which keys are set, by their ids; never their values.',
    examples: ['npx simhook secrets list --stage production --region eu-central-1'],
  })
    .option('--secrets-endpoint <url>', 'address of the engine, where it is not AWS')
    .action(async (_options: object, command: Command) =>
      list(command.optsWithGlobals<SecretOptions>(), world),
    );
}

async function set(options: SecretOptions, world: OpsWorld): Promise<void> {
  const purpose = purposes.find((each) => each === options.purpose);
  if (purpose === undefined)
    throw misused(`--purpose is "${options.purpose}", but it is ${purposes.join(' or ')}`);
  if (options.pathToken && purpose !== 'callback') throw misused('--path-token goes with --purpose callback');
  if (!world.providers.some(({ id }) => id === options.provider)) {
    throw misused(
      `--provider is "${options.provider}", but there are ${world.providers.map(({ id }) => id).join(', ')}`,
    );
  }
  const keep = readWhole('--keep', options.keep, { min: 1, max: keepMax });
  const shelf = shelfOf(options);
  const key = options.pathToken ? null : { keyId: options.keyId ?? null, value: await readKey(world) };
  const pathToken = options.pathToken ? world.random.hex(16) : null;
  await reach(async () => {
    const next = changeSecret(await shelf.read(options.provider, purpose), { purpose, key, pathToken, keep });
    await shelf.write(options.provider, purpose, next);
    const out = openOutput(world.terminal, options.json);
    await out.value({
      provider: options.provider,
      purpose,
      keys: next.keys.map(({ keyId }) => keyId),
      pathToken,
    });
    await out.line(`${options.provider} ${purpose}: ${next.keys.length} live keys, newest first`);
    if (pathToken !== null) await out.line(`path token, to be put behind the callback address: ${pathToken}`);
  });
}

async function list(options: SecretOptions, world: OpsWorld): Promise<void> {
  const shelf = shelfOf(options);
  const out = openOutput(world.terminal, options.json);
  await reach(async () => {
    for (const { id } of world.providers) {
      for (const purpose of purposes) {
        const value = await shelf.read(id, purpose);
        const keyIds = value?.keys.map(({ keyId }) => keyId ?? '(unnamed)') ?? [];
        await out.value({ provider: id, purpose, keys: keyIds, pathToken: value?.pathToken != null });
        const token = value?.pathToken != null ? ', path token set' : '';
        await out.line(
          `${id.padEnd(16)} ${purpose.padEnd(8)} ${keyIds.length === 0 ? 'no key' : keyIds.join(', ')}${token}`,
        );
      }
    }
  });
}

function shelfOf({ stage, region, secretsEndpoint }: SecretOptions): SecretShelf {
  if (stage === undefined) throw misused('secrets needs --stage: local secrets stand in the data folder');
  if (region === undefined) throw misused(`--stage ${stage} needs --region, such as eu-central-1`);
  return openSecretShelf({ stage, region, endpoint: secretsEndpoint ?? null });
}

async function readKey(world: OpsWorld): Promise<string> {
  const text = Buffer.from(await world.readStdin())
    .toString('utf8')
    .replace(/\r?\n$/, '');
  if (text.length > 0 && text.length <= 10_000) return text;
  throw misused(`a key of 1 to 10000 characters is read from standard input, but there were ${text.length}`);
}

/** Says what AWS refused, without its echo of what was sent. */
async function reach(work: () => Promise<void>): Promise<void> {
  try {
    await work();
  } catch (error) {
    if (error instanceof OpsError) throw error;
    const name = error instanceof Error ? error.name : 'unknown error';
    if (name === 'ResourceNotFoundException')
      throw failed('the stage has no such secret: deploy it first, or check --stage and --region');
    throw new OpsError(
      'unreachable',
      `Secrets Manager could not be used (${name}): check profile, region and permissions`,
    );
  }
}
