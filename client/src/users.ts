import { routes, type IssuedToken, type UserView } from '@panal/api';
import type { Http, RequestOptions } from './http.js';

/** Users: registration, tokens, and the user that the client acts for. */
export class Users {
  readonly #http: Http;

  constructor(http: Http) {
    this.#http = http;
  }

  /** Registers a user. @throws ApiError ALREADY_EXISTS, TOO_MANY_ATTEMPTS */
  async register(email: string, password: string, { signal }: RequestOptions = {}): Promise<UserView> {
    return (await this.#http.json(routes.registerUser, { json: { email, password }, signal })).value;
  }

  /** Gets a token of a user; the same token while it is valid. @throws ApiError UNAUTHORIZED, TOO_MANY_ATTEMPTS */
  async issueToken(email: string, password: string, { signal }: RequestOptions = {}): Promise<IssuedToken> {
    return (await this.#http.json(routes.issueToken, { json: { email, password }, signal })).value;
  }

  /** The user that the client acts for. @throws ApiError UNAUTHORIZED */
  async me({ signal }: RequestOptions = {}): Promise<UserView> {
    return (await this.#http.json(routes.getUser, { signal })).value;
  }

  /** Deletes the user, with all that it owns. */
  async deleteMe({ signal }: RequestOptions = {}): Promise<void> {
    await this.#http.json(routes.deleteUser, { signal });
  }

  /** Changes the password. The user's token is revoked. */
  async changePassword(
    password: string,
    newPassword: string,
    { signal }: RequestOptions = {},
  ): Promise<void> {
    await this.#http.json(routes.changePassword, { json: { password, newPassword }, signal });
  }

  /** Revokes every token of the user. */
  async revokeTokens({ signal }: RequestOptions = {}): Promise<void> {
    await this.#http.json(routes.revokeTokens, { signal });
  }

  /** The name of the user that the credentials are right for. @throws ApiError UNAUTHORIZED */
  async verify({ signal }: RequestOptions = {}): Promise<string> {
    return (await this.#http.json(routes.verifyCredentials, { signal })).value.user;
  }
}
