/* GELU and its slope by 32 polynomials.

   With a = |x| and r(a) = a (1 - Phi(a)), x Phi(x) is max(x, 0) - r(a), and its slope r'(a), or 1 - r'(a) above 0. From 0 to
   6 r is a polynomial of degree 4 in each 32nd part, fitted to it by least squares at 40 Chebyshev nodes (in the first
   divided by a, so that small numbers keep their digits): off by 2e-8 at most but for float32's rounding, its slope by 3e-6,
   which is far below what bfloat16 tells apart; beyond, r and r' are below 6e-9 and 4e-8. With the series that Abramowitz
   and Stegun give for the error function, an exponential and a reciprocal, a layer and its GELU take a fifth longer. */

#ifndef SIGHTWORD_GELU_H
#define SIGHTWORD_GELU_H

#include "tiles.h"

enum { PIECES = 32, TERMS = 5 };
static const float END = 6.0f;

/* Of each power of how far a is in its part, from 0 to 1: one for each part. */
static const float SERIES[TERMS][PIECES] __attribute__((aligned(64))) = {
    {
        0, 7.98064247e-02f, 1.32686332e-01f, 1.61374316e-01f, 1.69970497e-01f, 1.63360029e-01f, 1.46581322e-01f,
        1.24261916e-01f, 1.00210801e-01f, 7.72092491e-02f, 5.69931827e-02f, 4.03839163e-02f, 2.75050662e-02f,
        1.80243570e-02f, 1.13726780e-02f, 6.91284752e-03f, 4.04969417e-03f, 2.28716573e-03f, 1.24563940e-03f,
        6.54323841e-04f, 3.31564544e-04f, 1.62096709e-04f, 7.64639190e-05f, 3.48058711e-05f, 1.52894863e-05f,
        6.48191508e-06f, 2.65219410e-06f, 1.04741036e-06f, 3.99257686e-07f, 1.46901954e-07f, 5.21736006e-08f,
        1.78867943e-08f,
    },
    {
        9.37500075e-02f, 6.60258383e-02f, 4.01975960e-02f, 1.78727396e-02f, 1.45657134e-04f, -1.25164166e-02f,
        -2.02623289e-02f, -2.37380117e-02f, -2.39005852e-02f, -2.18158383e-02f, -1.84835624e-02f, -1.47189014e-02f,
        -1.10982182e-02f, -7.96111394e-03f, -5.45039540e-03f, -3.56943719e-03f, -2.23980146e-03f, -1.34834286e-03f,
        -7.79455237e-04f, -4.33023903e-04f, -2.31327140e-04f, -1.18891345e-04f, -5.88111616e-05f, -2.80093282e-05f,
        -1.28470456e-05f, -5.67632333e-06f, -2.41648877e-06f, -9.91367074e-07f, -3.91998299e-07f, -1.49414731e-07f,
        -5.49053354e-08f, -1.94533314e-08f,
    },
    {
        -1.40255410e-02f, -1.35413324e-02f, -1.21577037e-02f, -1.00831790e-02f, -7.61316856e-03f, -5.06890332e-03f,
        -2.73657357e-03f, -8.22080241e-04f, 5.70033328e-04f, 1.43279927e-03f, 1.83423166e-03f, 1.88554439e-03f,
        1.70978333e-03f, 1.41775492e-03f, 1.09425385e-03f, 7.94097665e-04f, 5.45269053e-04f, 3.55766562e-04f,
        2.21223047e-04f, 1.31387758e-04f, 7.46545120e-05f, 4.06341351e-05f, 2.12080995e-05f, 1.06229572e-05f,
        5.10993323e-06f, 2.36186452e-06f, 1.04947003e-06f, 4.48471724e-07f, 1.84374116e-07f, 7.29448288e-08f,
        2.77799792e-08f, 1.01861826e-08f,
    },
    {
        1.00864622e-06f, 3.27350863e-04f, 6.01979322e-04f, 7.87239522e-04f, 8.63850466e-04f, 8.34446517e-04f,
        7.20353040e-04f, 5.54228842e-04f, 3.71205970e-04f, 2.01179326e-04f, 6.40475046e-05f, -3.15523903e-05f,
        -8.66103655e-05f, -1.08460139e-04f, -1.07181731e-04f, -9.26787907e-05f, -7.28937885e-05f, -5.31499754e-05f,
        -3.63177387e-05f, -2.34149375e-05f, -1.43092811e-05f, -8.31587113e-06f, -4.60689580e-06f, -2.43734985e-06f,
        -1.23327914e-06f, -5.97501980e-07f, -2.77433998e-07f, -1.23554912e-07f, -5.28108899e-08f, -2.16765645e-08f,
        -8.54804583e-09f, -3.23989369e-09f,
    },
    {
        8.09677949e-05f, 6.80595913e-05f, 4.61448981e-05f, 1.94022396e-05f, -6.79211826e-06f, -2.78239258e-05f,
        -4.08629385e-05f, -4.52474997e-05f, -4.22193443e-05f, -3.42110434e-05f, -2.39911715e-05f, -1.39469075e-05f,
        -5.66873950e-06f, 1.37373391e-07f, 3.49182574e-06f, 4.86481213e-06f, 4.89843114e-06f, 4.20071183e-06f,
        3.23511154e-06f, 2.29236548e-06f, 1.51451968e-06f, 9.40595726e-07f, 5.52100744e-07f, 3.07449000e-07f,
        1.62884788e-07f, 8.22740418e-08f, 3.96862845e-08f, 1.83058209e-08f, 8.08310396e-09f, 3.41975914e-09f,
        1.38728884e-09f, 5.39968958e-10f,
    },
};

/* One number of 32 for each of 16. */
TARGET static inline __m512 picked(__m512i piece, const float *from) {
    return _mm512_permutex2var_ps(_mm512_load_ps(from), piece, _mm512_load_ps(from + SIDE));
}

typedef struct {
    __m512 value, slope;
} Activated;

TARGET static inline Activated gelu(__m512 x) {
    const float parts = PIECES / END, last = 31.999998f;
    __m512 far = _mm512_mul_ps(_mm512_abs_ps(x), _mm512_set1_ps(parts));
    __m512 place = _mm512_min_ps(_mm512_set1_ps(last), far); /* the second if it is no number */
    __m512i piece = _mm512_cvttps_epi32(place);
    __m512 t = _mm512_sub_ps(place, _mm512_cvtepi32_ps(piece)), sum = picked(piece, SERIES[TERMS - 1]), rise = sum;
    sum = _mm512_fmadd_ps(sum, t, picked(piece, SERIES[3]));
    for (int power = 2; power >= 0; power--) {
        rise = _mm512_fmadd_ps(rise, t, sum);
        sum = _mm512_fmadd_ps(sum, t, picked(piece, SERIES[power]));
    }
    __mmask16 above = _mm512_cmp_ps_mask(x, _mm512_setzero_ps(), _CMP_GT_OQ);
    rise = _mm512_mul_ps(rise, _mm512_set1_ps(parts));
    __m512 value = _mm512_sub_ps(_mm512_max_ps(_mm512_setzero_ps(), x), sum);
    return (Activated){value, _mm512_mask_sub_ps(rise, above, _mm512_set1_ps(1.0f), rise)};
}

#endif
