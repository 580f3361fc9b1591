/* SPDX-License-Identifier: Apache-2.0 */
/* Force-included by meson into our own sources: functions whose every use is a
 * mistake waiting to happen fail the build. */
#ifndef KF_BASE_BANNED_H
#define KF_BASE_BANNED_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Under _FORTIFY_SOURCE some of them are macros, which clang will not poison. */
#undef sprintf
#undef vsprintf
#undef strcpy
#undef strcat
#undef strncpy
#undef strncat

#pragma GCC poison strcpy strcat sprintf vsprintf strncpy strncat strtok atoi atol gets system popen

#endif
