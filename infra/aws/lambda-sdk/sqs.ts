import { AwsJsonClient, type ClientConfig, commandOf, type Service } from './aws-json-client.ts';

/** What the functions use of `@aws-sdk/client-sqs`. A name that is missing here stops the build of the bundles. */

export const ChangeMessageVisibilityBatchCommand = commandOf('ChangeMessageVisibilityBatch');
export const DeleteMessageBatchCommand = commandOf('DeleteMessageBatch');
export const GetQueueAttributesCommand = commandOf('GetQueueAttributes');
export const ReceiveMessageCommand = commandOf('ReceiveMessage');
export const SendMessageBatchCommand = commandOf('SendMessageBatch');

/** Source: SQS developer guide, "Making query API requests using AWS JSON protocol". */
const service: Service = {
  name: 'sqs',
  targetPrefix: 'AmazonSQS',
  contentType: 'application/x-amz-json-1.0',
  errors: {},
  stringify: (input) => JSON.stringify(input),
  parse: (text) => JSON.parse(text),
};

export class SQSClient extends AwsJsonClient {
  constructor(config: ClientConfig) {
    super(service, config);
  }
}
