/* SPDX-License-Identifier: Apache-2.0 */
/* Meson includes this file in all our own sources, so that functions whose use is nearly always a
 * mistake fail the build. */
#ifndef KF_BASE_BANNED_H
#define KF_BASE_BANNED_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* With _FORTIFY_SOURCE some of them are macros, which clang refuses to poison. */
#undef sprintf
#undef vsprintf
#undef strcpy
#undef strcat
#undef strncpy
#undef strncat

#pragma GCC poison strcpy strcat sprintf vsprintf strncpy strncat strtok atoi atol gets system popen

#endif
