import {
  GetSecretValueCommand,
  PutSecretValueCommand,
  SecretsManagerClient,
} from '@aws-sdk/client-secrets-manager';
import type { SecretPurpose, SecretSet } from '../../shared/platform/secret-source.ts';
import { readSecretValue, type SecretValue } from '../../shared/platform/secrets-manager-source.ts';
import { Secret } from '../../shared/signing/index.ts';
import { secretName } from '../names.ts';
import { type AwsAccess, awsFailure, clientOptions } from './aws-access.ts';
import { failed } from './failure.ts';

/** A deployed stage's secrets, as an operator may write them. Values go in and are never shown. */
export interface SecretShelf {
  /** Null while nothing was ever written. */
  read(provider: string, purpose: SecretPurpose): Promise<SecretValue | null>;
  write(provider: string, purpose: SecretPurpose, value: SecretValue): Promise<void>;
  close(): void;
}

/** The secrets that the state stack made, by their names. */
export function openSecretShelf(stage: string, access: AwsAccess): SecretShelf {
  const client = new SecretsManagerClient(clientOptions(access));
  return {
    read: async (provider, purpose) => {
      const name = secretName(stage, provider, purpose);
      try {
        const { SecretString } = await client.send(new GetSecretValueCommand({ SecretId: name }));
        const reading = readSecretValue(SecretString ?? '');
        if (reading.ok) return reading.value;
        throw failed(
          `secret ${name} holds something else than keys: ${reading.problem}; delete its value or mend it by hand`,
        );
      } catch (error) {
        if (isEmptyShell(error)) return null;
        throw error;
      }
    },
    write: async (provider, purpose, value) => {
      await client.send(
        new PutSecretValueCommand({
          SecretId: secretName(stage, provider, purpose),
          SecretString: JSON.stringify(value),
        }),
      );
    },
    close: () => client.destroy(),
  };
}

/** One secret for a command that needs it now; without keys where it was never set. Throws OpsError. */
export async function readSecretSet(
  of: { readonly stage: string; readonly provider: string; readonly purpose: SecretPurpose },
  access: AwsAccess,
): Promise<SecretSet> {
  const shelf = openSecretShelf(of.stage, access);
  try {
    const value = await shelf.read(of.provider, of.purpose);
    const pathToken = value?.pathToken ?? null;
    return {
      keys: value?.keys.map(({ keyId, value: text }) => ({ keyId, secret: new Secret(text) })) ?? [],
      pathToken: pathToken === null ? null : new Secret(pathToken),
    };
  } catch (error) {
    const name = secretName(of.stage, of.provider, of.purpose);
    throw awsFailure(error, `the secret ${name} could not be read`, 'secretsmanager:GetSecretValue');
  } finally {
    shelf.close();
  }
}

/** A secret without any version answers as if it were not there; only the message tells the two apart. */
function isEmptyShell(error: unknown): boolean {
  return (
    error instanceof Error &&
    error.name === 'ResourceNotFoundException' &&
    /staging label/i.test(error.message)
  );
}
