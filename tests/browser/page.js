// Runs every case that the server names, posts what it gives, and then tries the answers that must be refused. It knows no
// document, so that it runs in workers, too.
import init, { refusal, run } from "./flashmem_browser.js";

const post = (path, body) => fetch(path, { method: "POST", body });
const lines = async path => (await (await fetch(path)).text()).split("\n").filter(line => line);

try {
    await init();
    const readers = Number(new URL(import.meta.url).searchParams.get("readers"));
    for (const name of await lines("cases")) {
        const inputs = new Uint8Array(await (await fetch(`case/${name}/inputs`)).arrayBuffer());
        const [outputs, stats] = await run(`case/${name}/model.fmplan`, inputs, readers);
        await post(`case/${name}/outputs`, outputs);
        await post(`case/${name}/stats`, stats);
    }
    for (const name of await lines("faults")) {
        await post(`fault/${name}`, await refusal(`fault/${name}`));
    }
    await post("done", "");
} catch (error) {
    await post("failed", String(error));
}
