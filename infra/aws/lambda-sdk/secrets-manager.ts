import { AwsJsonClient, type ClientConfig, commandOf, type Service } from './aws-json-client.ts';

/** What the functions use of `@aws-sdk/client-secrets-manager`. A name that is missing here stops the build of the bundles. */

export const GetSecretValueCommand = commandOf('GetSecretValue');

/** Source: Secrets Manager API reference, GetSecretValue, example request. */
const service: Service = {
  name: 'secretsmanager',
  targetPrefix: 'secretsmanager',
  contentType: 'application/x-amz-json-1.1',
  errors: {},
  stringify: (input) => JSON.stringify(input),
  parse: (text) => JSON.parse(text),
};

export class SecretsManagerClient extends AwsJsonClient {
  constructor(config: ClientConfig) {
    super(service, config);
  }
}
