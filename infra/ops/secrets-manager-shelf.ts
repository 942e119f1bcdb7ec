import {
  GetSecretValueCommand,
  PutSecretValueCommand,
  SecretsManagerClient,
} from '@aws-sdk/client-secrets-manager';
import type { SecretPurpose } from '../../shared/platform/secret-source.ts';
import { readSecretValue, type SecretValue } from '../../shared/platform/secrets-manager-source.ts';
import { secretName } from '../names.ts';
import { type AwsAccess, clientOptions } from './aws-access.ts';
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

/** A secret without any version answers as if it were not there; only the message tells the two apart. */
function isEmptyShell(error: unknown): boolean {
  return (
    error instanceof Error &&
    error.name === 'ResourceNotFoundException' &&
    /staging label/i.test(error.message)
  );
}
