/**
 * Replaces the SDK's chain of credential providers in the functions' bundles: Lambda passes the
 * credentials of the role in the environment, and the other providers are a fifth of a bundle.
 */
export const defaultProvider = () => async () => {
  const {
    AWS_ACCESS_KEY_ID: accessKeyId,
    AWS_SECRET_ACCESS_KEY: secretAccessKey,
    AWS_SESSION_TOKEN,
  } = process.env;
  if (accessKeyId === undefined || secretAccessKey === undefined) {
    const error = new Error(
      'AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY: found none, expected those of the role',
    );
    error.name = 'CredentialsProviderError';
    throw error;
  }
  return { accessKeyId, secretAccessKey, ...(AWS_SESSION_TOKEN && { sessionToken: AWS_SESSION_TOKEN }) };
};
