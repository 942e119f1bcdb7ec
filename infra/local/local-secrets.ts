import { generateKeyPairSync } from 'node:crypto';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { z } from 'zod';
import type { Random } from '../../shared/platform/random.ts';
import type { SecretPurpose, SecretSet, SecretSource } from '../../shared/platform/secret-source.ts';
import type { StageSecrets } from '../../shared/policy/stage.ts';
import type { NamedSecret } from '../../shared/providers/provider.ts';
import { Secret } from '../../shared/signing/index.ts';
import { StartError } from './data-folder.ts';

const keySchema = z.strictObject({ keyId: z.string().nullable(), value: z.string().min(1) });
const providerSecretsSchema = z.strictObject({
  callback: z.array(keySchema),
  api: z.array(keySchema),
  pathToken: z.string().nullable(),
  /** Only for the simulator: the public half of a generated RSA key. */
  publicKey: z.string().optional(),
});
const fileSchema = z.record(z.string(), providerSecretsSchema);
export type LocalSecrets = z.infer<typeof fileSchema>;

/**
 * The secrets of one machine: a file that only its owner may read, made with random values at the first start. They
 * fit the provider simulator; real ones come from a stage given with --stage. Throws StartError for a file of another
 * shape.
 */
export function loadLocalSecrets(path: string, random: Random): LocalSecrets {
  if (!existsSync(path))
    writeFileSync(path, `${JSON.stringify(freshSecrets(random), null, 2)}\n`, { mode: 0o600, flag: 'wx' });
  const parsed = fileSchema.safeParse(parseJson(readFileSync(path, 'utf8')));
  if (parsed.success) return parsed.data;
  throw new StartError(
    `${path} is not a secrets file (${parsed.error.issues[0]?.path.join('.')}); delete it and a new one is made`,
  );
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

function freshSecrets(random: Random): LocalSecrets {
  const pair = generateKeyPairSync('rsa', {
    // The size that Cube v4 documents. Source: protocols/linksfield.md, section 5.1.
    modulusLength: 1024,
    publicKeyEncoding: { type: 'spki', format: 'pem' },
    privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
  });
  const key = (keyId: string | null = null) => [{ keyId, value: random.hex(16) }];
  return {
    eiotclub: { callback: key(), api: key(), pathToken: null },
    'linksfield-csss': { callback: key(), api: key(), pathToken: random.hex(16) },
    'linksfield-cube': {
      callback: key(random.hex(16)),
      api: [{ keyId: random.hex(16), value: pair.privateKey }],
      pathToken: null,
      publicKey: pair.publicKey,
    },
  };
}

/** Serves secrets from memory; nothing to re-read, since a changed file means a restart. */
export function memorySecretSource(secrets: Readonly<Record<string, StageSecrets>>): SecretSource {
  const sets = new Map<string, Readonly<Record<SecretPurpose, SecretSet>>>();
  for (const [provider, { callback, api, pathToken }] of Object.entries(secrets)) {
    sets.set(provider, {
      callback: {
        keys: callback.map(secretKey),
        pathToken: pathToken === null ? null : new Secret(pathToken),
      },
      api: { keys: api.map(secretKey), pathToken: null },
    });
  }
  const none: SecretSet = { keys: [], pathToken: null };
  return {
    read: async (provider: string, purpose: SecretPurpose) => sets.get(provider)?.[purpose] ?? none,
    reread: async () => null,
  };
}

function secretKey({ keyId, value }: StageSecrets['api'][number]): NamedSecret {
  return { keyId, secret: new Secret(value) };
}
