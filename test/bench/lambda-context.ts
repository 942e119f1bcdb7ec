/** What Lambda hands a function beside its event, as far as simhook and Powertools read it. Its name decides nothing. */
export function lambdaContext(getRemainingTimeInMillis: () => number) {
  return {
    getRemainingTimeInMillis,
    callbackWaitsForEmptyEventLoop: false,
    functionName: 'bench',
    functionVersion: '1',
    invokedFunctionArn: 'arn:aws:lambda:eu-central-1:123456789012:function:bench',
    memoryLimitInMB: '512',
    awsRequestId: 'bench',
    logGroupName: 'bench',
    logStreamName: 'bench',
    done: unused,
    fail: unused,
    succeed: unused,
  };
}

const unused = (): void => undefined;
