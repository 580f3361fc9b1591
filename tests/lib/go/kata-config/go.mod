// SPDX-License-Identifier: Apache-2.0
module kubefence.test/kata-config

go 1.26

require github.com/BurntSushi/toml v1.5.0
