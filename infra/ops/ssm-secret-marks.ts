import {
  DeleteParameterCommand,
  GetParameterCommand,
  PutParameterCommand,
  SSMClient,
} from '@aws-sdk/client-ssm';
import type { SecretPurpose } from '../../shared/platform/secret-source.ts';
import { type SecretMark, secretMarkName } from '../names.ts';
import { type AwsAccess, clientOptions } from './aws-access.ts';

/** Marks in Parameter Store by which CloudFormation sees that a secret holds something (infra/aws/required-secrets.ts). */
export interface SecretMarks {
  /** Null while there is none. */
  read(provider: string, purpose: SecretPurpose): Promise<string | null>;
  write(provider: string, purpose: SecretPurpose, mark: SecretMark, note: string): Promise<void>;
  /** Whether there was one. */
  remove(provider: string, purpose: SecretPurpose): Promise<boolean>;
  close(): void;
}

export function openSecretMarks(stage: string, access: AwsAccess): SecretMarks {
  const client = new SSMClient(clientOptions(access));
  const orNone = async <T>(work: () => Promise<T>): Promise<T | null> => {
    try {
      return await work();
    } catch (error) {
      if (error instanceof Error && error.name === 'ParameterNotFound') return null;
      throw error;
    }
  };
  return {
    read: (provider, purpose) =>
      orNone(async () => {
        const Name = secretMarkName(stage, provider, purpose);
        const { Parameter } = await client.send(new GetParameterCommand({ Name }));
        return Parameter?.Value ?? null;
      }),
    write: async (provider, purpose, mark, note) => {
      await client.send(
        new PutParameterCommand({
          Name: secretMarkName(stage, provider, purpose),
          Type: 'String',
          Tier: 'Standard',
          Value: mark,
          Description: note,
          Overwrite: true,
        }),
      );
    },
    remove: async (provider, purpose) => {
      const Name = secretMarkName(stage, provider, purpose);
      return (await orNone(() => client.send(new DeleteParameterCommand({ Name })))) !== null;
    },
    close: () => client.destroy(),
  };
}
