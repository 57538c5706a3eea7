import { caller, mayEdit } from "../api/caller";
import { RECIPES } from "../builder/draft";
import { Icon } from "../parts/icon";
import { Empty, Page } from "../parts/page";
import { link } from "../route";

/** The first visit: what this is, and the shortest way to something that works. */
export function Welcome() {
  if (caller.value && !mayEdit.value) {
    return (
      <Page title="Automations">
        <Empty>
          <p>Nothing is set up yet. Your key may look but not change anything: somebody with the role editor can begin.</p>
        </Empty>
      </Page>
    );
  }
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
          {Object.entries(RECIPES).map(([name, { title, hint, icon }]) => (
            <li key={name}>
              <a class="card" href={link("new", { recipe: name })}>
                <Icon name={icon} />
                <span>
                  <b>{title}</b>
                  {hint && <small>{hint}</small>}
                </span>
                <Icon name="right" />
              </a>
            </li>
          ))}
        </ul>
        <a class="button" href="#/new">
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
