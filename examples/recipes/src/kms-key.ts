import { randomBytes } from 'node:crypto'

/** What a key management service does: AWS KMS, Google Cloud KMS, Azure Key Vault and Vault's transit engine all can. */
export interface KeyService {
  encrypt(plain: Uint8Array): Promise<Uint8Array>
  decrypt(wrapped: Uint8Array): Promise<Uint8Array>
}

/** Run once for each new key; what it answers may stand in the configuration, for only the service can open it. */
export async function newWrappedKey(service: KeyService): Promise<string> {
  return Buffer.from(await service.encrypt(randomBytes(32))).toString('base64')
}

/** Run at start, for the store's `encryptionKeys`. The service is not asked again while the application runs. */
export function unwrapKeys(service: KeyService, wrapped: string[]): Promise<Buffer[]> {
  return Promise.all(wrapped.map(async (each) => Buffer.from(await service.decrypt(Buffer.from(each, 'base64')))))
}
