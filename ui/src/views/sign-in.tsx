import { useState } from "preact/hooks";
import { messageOf, signIn } from "../api/client";
import { changed } from "../api/live";
import { Page, Problem } from "../parts/page";

export function SignInView() {
  const [key, setKey] = useState("");
  const [problem, setProblem] = useState<string>();
  return (
    <Page title="Sign in">
      <form
        class="card sign-in"
        onSubmit={async (event) => {
          event.preventDefault();
          try {
            await signIn(key.trim());
            changed();
          } catch (error) {
            setProblem(messageOf(error));
          }
        }}
      >
        <div class="field">
          <label for="key">API key</label>
          <input id="key" type="password" autocomplete="off" autofocus value={key} onInput={(event) => setKey(event.currentTarget.value)} />
          <small>It stays in this tab and is forgotten with it.</small>
        </div>
        <Problem text={problem} />
        <button type="submit" class="primary" disabled={!key.trim()}>
          Sign in
        </button>
      </form>
    </Page>
  );
}
