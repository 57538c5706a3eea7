import { createGraphiQLFetcher, type Fetcher } from "@graphiql/toolkit";
import { getOperationAST, parse, type DocumentNode } from "graphql";
import { credentials } from "../api/session";

const ask = createGraphiQLFetcher({
  url: "/graphql",
  headers: credentials(),
  subscriptionUrl: `${location.protocol.replace("http", "ws")}//${location.host}/graphql`,
  wsConnectionParams: credentials(),
});

/** Runs the document of a tab. GraphiQL may still name the operation of the tab before: that name is left out. */
export const send: Fetcher = (operation, options) => {
  const document = parsed(operation.query);
  const isThere = !document || getOperationAST(document, operation.operationName);
  const named = document && getOperationAST(document);
  const name = isThere ? operation.operationName : named?.name?.value;
  return ask({ ...operation, operationName: name ?? null }, { ...options, documentAST: document ?? options?.documentAST });
};

/** Null where the text is no document: the server says what is wrong with it. */
function parsed(query: string): DocumentNode | null {
  try {
    return parse(query);
  } catch {
    return null;
  }
}
