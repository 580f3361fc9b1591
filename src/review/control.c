/* SPDX-License-Identifier: Apache-2.0 */
/* Files that others execute or obey: whoever reviews changes reads these first.  The profiles'
 * group agent_control_files, which keeps an agent from writing the most dangerous ones, is the
 * shorter list: here a name too many costs only a look. */
#include "review/changes.h"

#include "base/cleanup.h"

#include <string.h>

/* Names of files or directories, wherever in the volume they are; with a slash, the end of a path.
 */
static const char *const control_names[] = {
	/* git, and what runs with it */
	".git/hooks",
	".git/config",
	".git/config.worktree",
	".git/commondir",
	".git/info/attributes",
	".git/modules",
	".gitmodules",
	".gitattributes",
	".gitconfig",
	".husky",
	".pre-commit-config.yaml",
	"lefthook.yml",
	/* agents */
	".mcp.json",
	".claude",
	".claude.json",
	".codex",
	".cursor",
	".cursorrules",
	".gemini",
	".aider.conf.yml",
	".opencode",
	"opencode.json",
	"CLAUDE.md",
	"AGENTS.md",
	"GEMINI.md",
	/* editors */
	".vscode",
	".idea",
	".devcontainer",
	".editorconfig",
	".vimrc",
	".exrc",
	".nvimrc",
	/* shells and what they load by themselves */
	".bashrc",
	".bash_profile",
	".bash_login",
	".bash_logout",
	".bash_aliases",
	".profile",
	".zshrc",
	".zprofile",
	".zshenv",
	".zlogin",
	".zlogout",
	".kshrc",
	".config/fish",
	".config/git",
	".config/autostart",
	".config/systemd",
	".envrc",
	".env",
	".ripgreprc",
	".ssh",
	".netrc",
	/* build machines */
	".github",
	".gitlab-ci.yml",
	".gitlab",
	".circleci",
	".travis.yml",
	".drone.yml",
	".woodpecker",
	".woodpecker.yml",
	".buildkite",
	".tekton",
	"Jenkinsfile",
	"azure-pipelines.yml",
	"bitbucket-pipelines.yml",
	"cloudbuild.yaml",
	/* builds */
	"Makefile",
	"makefile",
	"GNUmakefile",
	"justfile",
	"Justfile",
	"Taskfile.yml",
	"Rakefile",
	"CMakeLists.txt",
	"meson.build",
	"configure",
	"Dockerfile",
	"Containerfile",
	"docker-compose.yml",
	"compose.yaml",
	"package.json",
	".npmrc",
	".yarnrc",
	".yarnrc.yml",
	".pnpmfile.cjs",
	"setup.py",
	"setup.cfg",
	"pyproject.toml",
	"tox.ini",
	"noxfile.py",
	"conftest.py",
	"sitecustomize.py",
	"build.rs",
	".cargo/config",
	".cargo/config.toml",
	"build.gradle",
	"build.gradle.kts",
	"gradlew",
	"gradle/wrapper",
	"pom.xml",
	".mvn",
	"mvnw",
	"BUILD.bazel",
	"WORKSPACE",
	"flake.nix",
	"shell.nix",
};

/* Whether @name, whole components, is in @path. */
static bool has_components(const char *path, const char *name)
{
	const size_t n = strlen(name);

	for (const char *at = path; (at = strstr(at, name)); at++)
		if ((at == path || at[-1] == '/') && (!at[n] || at[n] == '/'))
			return true;
	return false;
}

bool kf_review_is_control(const char *path)
{
	for (size_t i = 0; i < KF_ARRAY_SIZE(control_names); i++)
		if (has_components(path, control_names[i]))
			return true;
	return false;
}
