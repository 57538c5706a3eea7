import { RECIPES } from "../builder/draft";
import { Icon } from "../parts/icon";
import { Page } from "../parts/page";
import { link } from "../route";

/** The first visit: what this is, and the shortest way to something that works. */
export function Welcome() {
  return (
    <Page title="Automations">
      <section class="welcome">
        <p class="sentence">
          When <b class="word">this</b> happens, <b class="word">do that</b>.
        </p>
        <p>
          Automations watches your flow runs and agents, and tells people or acts by itself. Nothing is set up yet. Pick a
          sentence, fill in its blanks, save.
        </p>
        <ul class="cards recipes">
          {Object.entries(RECIPES).map(([name, recipe]) => (
            <li key={name}>
              <a class="card" href={link("new", { recipe: name })}>
                <Icon name="bolt" />
                <b>{recipe.title}</b>
                <Icon name="right" />
              </a>
            </li>
          ))}
        </ul>
        <a class="button primary" href="#/new">
          <Icon name="plus" /> Start from nothing
        </a>
        <details class="help">
          <summary>How do my flows get here?</summary>
          <p>
            Point Prefect 1 at this server: <code>export PREFECT__SERVER__HOST=http://{location.hostname}</code> and{" "}
            <code>export PREFECT__SERVER__PORT={location.port || "80"}</code>, then register flows as ever. They appear under{" "}
            <a href="#/runs">Runs</a>.
          </p>
        </details>
      </section>
    </Page>
  );
}
