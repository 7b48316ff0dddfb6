"""Shell completion: `eval "$(vae-run -sc install=bash)"`, or zsh, or fish; `uninstall=` takes it away.

Hydra completes groups, options and keys. It does not know of the command word before them, so this takes it off.
"""

import os
from collections.abc import Sequence

from vae_runner.commands import COMMANDS
from vae_runner.config import Tree
from vae_runner.errors import UserError

HYDRA_COMMANDS = ("train", "validate")
FLAGS = ("--help", "--cfg", "--multirun", "--config-dir", "--info")

# a candidate ends in a space where the word is finished; bash breaks words at = and replaces only what follows
BASH = r"""_vae_run_complete() {
    local IFS=$'\n' typed="${COMP_LINE:0:COMP_POINT}"
    typed="${typed##* }"
    COMPREPLY=($(COMP_LINE="$COMP_LINE" COMP_POINT="$COMP_POINT" "${COMP_WORDS[0]}" -sc query=bash 2>/dev/null))
    if [[ "$COMP_WORDBREAKS" == *=* && "$typed" == *=* ]]; then
        COMPREPLY=("${COMPREPLY[@]#"${typed%"${typed##*=}"}"}")
    fi
}
complete -o nospace -o default -F _vae_run_complete vae-run"""

SCRIPTS = {
    "bash": BASH,
    "zsh": r"""_vae_run_complete() {
    local -a found
    found=("${(@f)$(COMP_LINE="$LBUFFER" COMP_POINT=${#LBUFFER} vae-run -sc query=zsh 2>/dev/null)}")
    [[ -n "$found" ]] && compadd -Q -S '' -- "${found[@]}" || { compset -P '*='; _files }
}
(( $+functions[compdef] )) || { autoload -Uz compinit && compinit; }
compdef _vae_run_complete vae-run""",
    "fish": """function _vae_run_complete
    set -lx COMP_LINE (commandline -cp)
    set -lx COMP_POINT (string length -- $COMP_LINE)
    vae-run -sc query=fish 2>/dev/null | string trim
end
complete -c vae-run -a '(_vae_run_complete)'""",
}
REMOVALS = {
    "bash": "complete -r vae-run; unset -f _vae_run_complete",
    "zsh": "compdef -d vae-run; unfunction _vae_run_complete",
    "fish": "complete -e -c vae-run; functions -e _vae_run_complete",
}


def main(args: Sequence[str]) -> int:
    what, _, shell = (args[0] if args else "").partition("=")
    answers = {"install": SCRIPTS, "uninstall": REMOVALS}
    if what not in (*answers, "query") or shell not in SCRIPTS:
        raise UserError(
            f"-sc {' '.join(args)}: type -sc install=SHELL or uninstall=SHELL, SHELL one of bash, zsh, fish"
        )
    if what == "query":
        line = os.environ.get("COMP_LINE", "")
        point = int(os.environ.get("COMP_POINT") or len(line))
        print("\n".join(candidates(line[:point])))
    else:
        print(answers[what][shell])
    return 0


def candidates(line: str) -> list[str]:
    """What the last word of a command line may become; a finished word ends in a space."""
    words = line.split()
    typed = words.pop() if words and not line[-1].isspace() else ""
    if len(words) <= 1:
        return [f"{name} " for name in (*COMMANDS, "--help", "--version") if name.startswith(typed)]
    command, before = words[1], words[2:]
    if before and before[-1] in ("--config-dir", "-cd"):
        return []  # the shell completes directories itself
    if command == "list":
        return [f"{group} " for group in Tree.of().groups if group.startswith(typed)] if not before else []
    if command not in HYDRA_COMMANDS:
        return ["run="] if "run=".startswith(typed) and not before and command != "compare" else []
    if typed.startswith("-"):
        return [f"{flag} " for flag in FLAGS if flag.startswith(typed)]
    found = [word for word in _by_hydra(before, typed) if not word.endswith("_target_=")]
    unfinished = ("=", ".", "/")
    return [word if word.endswith(unfinished) or _last_item(word)[0] else f"{word} " for word in found]


def _by_hydra(before: list[str], typed: str) -> list[str]:
    from hydra.plugins.completion_plugin import DefaultCompletionPlugin

    from vae_runner.config.composing import config_loader
    from vae_runner.config.tree import PRIMARY

    config_dir = None
    overrides = []
    words = iter(before)
    for word in words:
        if word in ("--config-dir", "-cd"):
            config_dir = next(words, None)
        elif not word.startswith("-"):
            overrides.append(word)
    plugin = DefaultCompletionPlugin(config_loader(config_dir))
    # a sweep and a list are completed from their last item on
    head, item = _last_item(typed)
    key = typed.partition("=")[0]
    found = plugin._query(PRIMARY, " ".join([*overrides, f"{key}={item}" if head else typed]))
    return [head + word.partition("=")[2] for word in found] if head else found


def _last_item(typed: str) -> tuple[str, str]:
    """`variant=[ae,be` -> (`variant=[ae,`, `be`); without several items, (``, all of it)."""
    cut = max(typed.rfind(","), typed.rfind("["))
    return (typed[: cut + 1], typed[cut + 1 :]) if "=" in typed[:cut] else ("", typed)
