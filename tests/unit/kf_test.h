/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KF_TESTS_KF_TEST_H
#define KF_TESTS_KF_TEST_H

/* cmocka wants these before it, in this order. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#endif
