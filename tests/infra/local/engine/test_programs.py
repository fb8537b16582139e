"""What programs may use: providers, references, functions, look-ups, transforms, assets."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import pulumi
import pytest

from infra.local.engine import Op, ProgramError
from tests.infra.local.engine.folder_cloud import Box

if TYPE_CHECKING:
    from tests.infra.local.engine.conftest import StoreProject


class Provider(pulumi.ProviderResource):
    """As `aws.Provider`: nested settings travel as JSON text."""

    def __init__(self, name: str, region: str, tags: dict[str, str]) -> None:
        props = {"region": region, "defaultTags": pulumi.Output.json_dumps({"tags": tags})}
        super().__init__("box", name, props)


def test_default_tags_of_an_explicit_provider_are_merged(store: StoreProject) -> None:
    """Own tags win, `tagsAll` is an output, and a changed default tag updates what carries it."""

    def program(owner: str) -> None:
        opts = pulumi.ResourceOptions(
            provider=Provider("box", "eu-central-1", {"tenant": "acme", "owner": owner})
        )
        Box("box", opts, tags={"owner": "me"})
        Box("bare", opts)

    store(lambda: program("ops")).up("dev")
    tags = sorted((box["tags"] for box in store.cloud.boxes().values()), key=json.dumps)
    assert tags == [{"tenant": "acme", "owner": "me"}, {"tenant": "acme", "owner": "ops"}]
    state = json.loads((store.root / "state/stacks/store/dev.json").read_text())["deployment"][
        "resources"
    ]
    assert {"tenant": "acme", "owner": "me"} in [
        item.get("outputs", {}).get("tagsAll") for item in state
    ]
    result = store(lambda: program("sec")).up("dev")
    assert [(change.op, change.urn.split("::")[-1], change.keys) for change in result.changes] == [
        (Op.UPDATE, "box", ("defaultTags",)),
        (Op.UPDATE, "bare", ("tags",)),
    ]


def test_a_provider_for_another_region_is_refused(store: StoreProject) -> None:
    """The embedded cloud is one region; nothing is made elsewhere by mistake."""
    with pytest.raises(
        ProgramError, match="region `us-east-1`: the embedded cloud is in eu-central-1"
    ):
        store(lambda: Provider("box", "us-east-1", {})).up("dev")


def test_disabled_default_providers_are_honoured(store: StoreProject) -> None:
    """With `pulumi:disable-default-providers` nothing goes without the explicit provider."""
    config = 'config: {"pulumi:disable-default-providers": ["box"]}\n'
    (store.root / "stacks" / "Pulumi.dev.yaml").write_text(config)
    with pytest.raises(ProgramError, match="Default provider for 'box' disabled"):
        store(lambda: Box("box")).up("dev")
    with pytest.raises(ProgramError, match="Default provider for 'box' disabled"):
        store(lambda: pulumi.runtime.invoke("box:index:getRegion", {})).up("dev")
    assert store.cloud.calls() == []


def test_a_stack_reads_the_outputs_of_another(store: StoreProject) -> None:
    """References give values, keep secrets secret, and name the stack that is missing."""

    def first() -> None:
        box = Box("box", pulumi.ResourceOptions(additional_secret_outputs=["key"]), name="shared")
        pulumi.export("arn", box.arn)
        pulumi.export("key", box.key)

    def second() -> None:
        reference = pulumi.StackReference("organization/store/dev")
        Box("lid", name="lid", of=reference.require_output("arn"), code=reference.get_output("key"))
        pulumi.export("code", reference.get_output("key"))

    with pytest.raises(ProgramError, match="deploy `dev` first"):
        store(second).up("other")
    store(first).up("dev")
    result = store(second).up("other")
    assert store.cloud.boxes()["lid"]["of"] == "arn:box:shared"
    assert result.secret_outputs == {"code"}
    assert "key-of-shared" not in (store.root / "state/stacks/store/other.json").read_text()
    assert store(second).up("other").changes == ()


def test_functions_answer_and_unknown_ones_are_named(store: StoreProject) -> None:
    """An invoke reaches the provider's function; one that does not exist fails the run."""

    def program(token: str) -> None:
        answer = pulumi.runtime.invoke(token, {}).value
        pulumi.export("region", answer["region"])

    assert store(lambda: program("box:index:getRegion")).up("dev").outputs == {
        "region": "eu-central-1"
    }
    with pytest.raises(ProgramError, match="no function `box:index:getMoon`"):
        store(lambda: program("box:index:getMoon")).up("dev")


def test_what_exists_elsewhere_can_be_looked_up(store: StoreProject) -> None:
    """A resource read by its id is not deleted with the stack; one that is not there fails."""
    store(lambda: Box("box", name="shared")).up("dev")

    def program(name: str) -> None:
        found = Box("found", pulumi.ResourceOptions(id=name))
        pulumi.export("arn", found.arn)

    assert store(lambda: program("shared")).up("other").outputs == {"arn": "arn:box:shared"}
    assert store(lambda: program("shared")).up("other").changes == ()
    store(lambda: None).destroy("other")
    assert list(store.cloud.boxes()) == ["shared"]
    with pytest.raises(ProgramError, match="there is no box:index:Box `gone`"):
        store(lambda: program("gone")).up("other")


def test_transforms_change_what_is_registered(store: StoreProject) -> None:
    """A transform of the whole stack sets properties and options."""

    def program() -> None:
        def careful(args: pulumi.ResourceTransformArgs) -> pulumi.ResourceTransformResult | None:
            if args.type_ != "box:index:Box":
                return None
            opts = pulumi.ResourceOptions.merge(
                args.opts, pulumi.ResourceOptions(retain_on_delete=True)
            )
            return pulumi.ResourceTransformResult({**args.props, "size": 7}, opts)

        pulumi.runtime.register_resource_transform(careful)
        Box("box", name="box")

    store(program).up("dev")
    assert store.cloud.boxes()["box"]["size"] == 7
    store(program).destroy("dev")
    assert list(store.cloud.boxes()) == ["box"]


def test_an_asset_is_what_is_in_the_file(store: StoreProject) -> None:
    """Only changed contents are an update; a missing file is named."""
    file = store.root / "firmware.bin"

    def program() -> None:
        Box("box", content=pulumi.FileAsset("firmware.bin"), size=1)

    with pytest.raises(ProgramError, match=r"firmware\.bin: No such file"):
        store(program).up("dev")
    file.write_text("one")
    store(program).up("dev")
    file.write_text("one")
    assert store(program).up("dev").changes == ()
    file.write_text("two")
    assert store(program).preview("dev").changes[0].keys == ("content",)


def test_the_program_may_be_async_and_ups_may_run_in_threads(store: StoreProject) -> None:
    """`pulumi.run` works, and two stacks go up at once from a running event loop."""

    def program() -> None:
        async def main() -> dict[str, Any]:
            await asyncio.sleep(0)
            return {"stack": Box(f"box-{pulumi.get_stack()}").name}

        pulumi.run(main)

    async def both() -> list[str]:
        results = await asyncio.gather(
            *(asyncio.to_thread(store(program).up, name) for name in ("dev", "other"))
        )
        return [result.outputs["stack"].rpartition("-")[0] for result in results]

    assert asyncio.run(both()) == ["box-dev", "box-other"]


def test_the_program_is_the_file_that_pulumi_yaml_names(store: StoreProject) -> None:
    """Without a program given, `main` of the project is executed, again on every run."""
    (store.root / "__main__.py").write_text(
        "import pulumi\nassert __name__ == '__main__'\npulumi.export('size', "
        "pulumi.Config().require_int('size'))\n"
    )
    (store.root / "stacks" / "Pulumi.dev.yaml").write_text("config:\n  store:size: 12\n")
    engine = type(store(lambda: None))(store.root, store.root / "state", store.cloud, {}, {})
    assert engine.up("dev").outputs == {"size": 12}


def test_options_that_the_engine_does_not_have_are_refused(store: StoreProject) -> None:
    """Importing an existing resource into the stack is refused, not ignored."""
    with pytest.raises(ProgramError, match="the local engine has no import_"):
        store(lambda: Box("box", pulumi.ResourceOptions(import_="shared"))).up("dev")
