// Prints the first answer to a subscription as JSON: node subscribe.cjs URL HEADERS DOCUMENT
const { createClient } = require("graphql-ws");
const WebSocket = require("ws");

const [url, headers, query] = process.argv.slice(2);
class WithHeaders extends WebSocket {
  constructor(address, protocols) {
    super(address, protocols, { headers: JSON.parse(headers) });
  }
}
const client = createClient({ url, webSocketImpl: WithHeaders });
client
  .iterate({ query })
  .next()
  .then(({ value }) => {
    console.log(JSON.stringify(value));
    return client.dispose();
  });
